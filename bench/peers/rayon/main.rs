// main.rs - what rayon does with the work of bench/fork.c, matmul.c and sort.c, written as its users would.
//
//     rayon_peer W fork FIB      fib, skynet, queens, sum: ns a call, then three times ms
//     rayon_peer W matmul N      N times N doubles: ms
//     rayon_peer W sort N        N numbers, bench/sort.c's algorithm: ms
//     rayon_peer W sort_own N    the same by par_sort_unstable()
//
// W is the number of worker threads. The leaves of matmul and sort are bench/kernel.c's, as everybody's. Says
// "rayon VERSION", then makes a round for each line it reads, as bench/peer.h wants it.
use rayon::prelude::*;
use std::io::{BufRead, Write};
use std::time::Instant;

const LEAVES: u64 = 1_000_000;
const QUEENS: u32 = 12;
const SUM: u64 = 50_000_000;

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| fib(n - 1), || fib(n - 2));
    a + b
}

// f of each of `all`, added up: by halves, as join() takes two.
fn add_each<F: Fn(u64) -> u64 + Sync>(all: &[u64], f: &F) -> u64 {
    match all.len() {
        0 => 0,
        1 => f(all[0]),
        n => {
            let (left, right) = all.split_at(n / 2);
            let (a, b) = rayon::join(|| add_each(left, f), || add_each(right, f));
            a + b
        }
    }
}

fn skynet(from: u64, leaves: u64) -> u64 {
    if leaves == 1 {
        return from;
    }
    const BRANCHES: [u64; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    add_each(&BRANCHES, &|i| skynet(from + i * (leaves / 10), leaves / 10))
}

fn queens(row: u32, columns: u32, left: u32, right: u32) -> u64 {
    if row == QUEENS {
        return 1;
    }
    let mut safe = !(columns | left | right) & ((1 << QUEENS) - 1);
    let (mut bits, mut n) = ([0u64; QUEENS as usize], 0);
    while safe != 0 {
        bits[n] = (safe & safe.wrapping_neg()) as u64;
        safe &= safe - 1;
        n += 1;
    }
    add_each(&bits[..n], &|bit| {
        let bit = bit as u32;
        queens(row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
    })
}

fn stir(i: u64) -> u64 {
    (i ^ (i >> 31)).wrapping_mul(0x9e3779b97f4a7c15)
}

fn sum() -> u64 {
    (0..SUM).into_par_iter().map(|i| stir(i) >> 40).sum()
}

#[link(name = "bench_kernel", kind = "static")]
extern "C" {
    fn kernel_memory(bytes: usize) -> *mut u8;
    fn kernel_matmul_leaf(a: *const f64, b: *const f64, c: *mut f64, stride: usize);
    fn kernel_matmul_fill(a: *mut f64, b: *mut f64, n: usize);
    fn kernel_matmul_check(a: *const f64, b: *const f64, c: *const f64, n: usize) -> bool;
    fn kernel_sort_leaf(v: *mut i32, spare: *mut i32, n: usize);
    fn kernel_merge_leaf(a: *const i32, na: usize, b: *const i32, nb: usize, to: *mut i32);
    fn kernel_merge_cut(a: *const i32, na: usize, b: *const i32, nb: usize, cut_a: *mut usize, cut_b: *mut usize);
    fn kernel_sort_fill(v: *mut i32, n: usize);
    fn kernel_sort_check(v: *const i32, n: usize) -> bool;
}

const MATMUL_LEAF: usize = 32;
const SORT_LEAF: usize = 1024;
const MERGE_LEAF: usize = 4096;

// A block of the three matrices. The halves of c that run at once are different ones.
#[derive(Clone, Copy)]
struct Block {
    a: *const f64,
    b: *const f64,
    c: *mut f64,
    stride: usize,
}

unsafe impl Send for Block {}
unsafe impl Sync for Block {}

impl Block {
    fn at(&self, a: usize, b: usize, c: usize) -> Block {
        unsafe { Block { a: self.a.add(a), b: self.b.add(b), c: self.c.add(c), stride: self.stride } }
    }
}

fn multiply(x: Block, n: usize) {
    if n == MATMUL_LEAF {
        unsafe { kernel_matmul_leaf(x.a, x.b, x.c, x.stride) };
        return;
    }
    let half = n / 2;
    let down = half * x.stride;
    for y in [x, x.at(half, down, 0)] {
        rayon::join(
            || rayon::join(|| multiply(y, half), || multiply(y.at(0, half, half), half)),
            || rayon::join(|| multiply(y.at(down, 0, down), half), || multiply(y.at(down, half, down + half), half)),
        );
    }
}

fn merge(a: &[i32], b: &[i32], to: &mut [i32]) {
    if a.len() + b.len() <= MERGE_LEAF {
        unsafe { kernel_merge_leaf(a.as_ptr(), a.len(), b.as_ptr(), b.len(), to.as_mut_ptr()) };
        return;
    }
    if a.len() < b.len() {
        return merge(b, a, to);
    }
    let (mut i, mut k) = (0, 0);
    unsafe { kernel_merge_cut(a.as_ptr(), a.len(), b.as_ptr(), b.len(), &mut i, &mut k) };
    let (low, high) = to.split_at_mut(i + k);
    rayon::join(|| merge(&a[..i], &b[..k], low), || merge(&a[i..], &b[k..], high));
}

// Into `other` if `over`, else where they are.
fn sort(v: &mut [i32], other: &mut [i32], over: bool) {
    if v.len() <= SORT_LEAF {
        unsafe { kernel_sort_leaf(v.as_mut_ptr(), other.as_mut_ptr(), v.len()) };
        if over {
            other.copy_from_slice(v);
        }
        return;
    }
    let half = v.len() / 2;
    let (v_low, v_high) = v.split_at_mut(half);
    let (other_low, other_high) = other.split_at_mut(half);
    rayon::join(|| sort(v_low, other_low, !over), || sort(v_high, other_high, !over));
    if over {
        merge(v_low, v_high, other);
    } else {
        merge(other_low, other_high, v);
    }
}

fn ms<T, F: FnOnce() -> T>(f: F) -> (f64, T) {
    let start = Instant::now();
    let result = std::hint::black_box(f());
    (start.elapsed().as_nanos() as f64 / 1e6, result)
}

// The number of calls of fib(n), and its result.
fn fib_calls(n: u64) -> (u64, u64) {
    let (mut last, mut now) = (0, 1);
    for _ in 0..n {
        (last, now) = (now, last + now);
    }
    (2 * now - 1, last)
}

fn fork_round(n: u64) -> Vec<f64> {
    let (calls, want) = fib_calls(n);
    let (a, result) = ms(|| fib(n));
    assert_eq!(result, want);
    let (b, result) = ms(|| skynet(0, LEAVES));
    assert_eq!(result, LEAVES * (LEAVES - 1) / 2);
    let (c, result) = ms(|| queens(0, 0, 0, 0));
    assert_eq!(result, 14_200);
    let (d, _) = ms(sum);
    vec![a * 1e6 / calls as f64, b, c, d]
}

fn numbers<T>(n: usize) -> &'static mut [T] {
    unsafe { std::slice::from_raw_parts_mut(kernel_memory(n * std::mem::size_of::<T>()) as *mut T, n) }
}

fn matmul_round(m: &mut [&mut [f64]; 3], n: usize) -> Vec<f64> {
    let [a, b, c] = m;
    c.fill(0.0);
    let all = Block { a: a.as_ptr(), b: b.as_ptr(), c: c.as_mut_ptr(), stride: n };
    let (took, _) = ms(|| multiply(all, n));
    assert!(unsafe { kernel_matmul_check(a.as_ptr(), b.as_ptr(), c.as_ptr(), n) });
    vec![took]
}

fn sort_round(v: &mut [i32], spare: &mut [i32], own: bool) -> Vec<f64> {
    unsafe { kernel_sort_fill(v.as_mut_ptr(), v.len()) };
    let (took, _) = ms(|| if own { v.par_sort_unstable() } else { sort(v, spare, false) });
    assert!(unsafe { kernel_sort_check(v.as_ptr(), v.len()) });
    vec![took]
}

fn main() {
    let word: Vec<String> = std::env::args().collect();
    let number = |i: usize| -> usize { word.get(i).and_then(|w| w.parse().ok()).expect("a number is missing") };
    let (workers, kind, n) = (number(1), word[2].as_str(), number(3));
    let size = |of: &str| if kind.starts_with(of) { n } else { 0 };
    let cells = size("matmul") * size("matmul");
    let mut matrix = [numbers(cells), numbers(cells), numbers(cells)];
    let (v, spare) = (numbers(size("sort")), numbers(size("sort")));
    if cells > 0 {
        unsafe { kernel_matmul_fill(matrix[0].as_mut_ptr(), matrix[1].as_mut_ptr(), n) };
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
    println!("rayon{} {}", if kind == "sort_own" { "-par_sort_unstable" } else { "" }, env!("PEER_VERSION"));
    std::io::stdout().flush().unwrap();
    for _ in std::io::stdin().lock().lines() {
        let value = pool.install(|| match kind {
            "fork" => fork_round(n as u64),
            "matmul" => matmul_round(&mut matrix, n),
            "sort" | "sort_own" => sort_round(v, spare, kind == "sort_own"),
            _ => panic!("no such work"),
        });
        let text: Vec<String> = value.iter().map(|v| format!("{:.6}", v)).collect();
        println!("{}", text.join(" "));
        std::io::stdout().flush().unwrap();
    }
}
