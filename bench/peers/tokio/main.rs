// main.rs - what Tokio does, measured as its users would write it.
//
//     tokio_peer echo W             an echo server
//     tokio_peer spawn W N          N trivial tasks: in batches of 1,000, then all at once
//     tokio_peer yield W N          two tasks that yield in turn, N times each
//     tokio_peer timers W PAIRS N MOST    what bench/timers.c has: sets of sleeps, at most MOST; one begun and dropped
//                                   alone; N sleeps of 10,000 tasks
//     tokio_peer pingpong W N       N round trips of two tasks, through channels of 1
//     tokio_peer parked W N         the same across two threads that sleep meanwhile, whatever W is
//     tokio_peer bounded W N        N words through a channel of 1,024: 1 to 1, 4 to 1, 4 to 4
//     tokio_peer mutex W N          N locks: by one task, by four
//     tokio_peer skynet W N         a tree of tasks with N leaves: by channels, by await; ms and MiB
//     tokio_peer offload W THREADS N  N jobs through spawn_blocking: offload.c says what is measured
//     tokio_peer http W             a server that says hello
//     tokio_peer stall W            an echo server in which some requests compute
//
// W is the number of worker threads; 0 is the current-thread runtime. Says "tokio[-multi_thread] VERSION [PORT]",
// then makes a round for each line it reads, as bench/peer.h wants it.
mod skynet;
mod stall;
mod talk;

use std::future::Future;
use std::io::{BufRead, Write};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

const BATCH: usize = 1000;
const WIDTH: usize = 1000;
const PAUSED: usize = 100;

fn cpu_ns() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 * 1e9 + t.tv_nsec as f64
}

fn say_hello(workers: usize, port: u16) {
    let name = if workers == 0 { "tokio-current_thread" } else { "tokio-multi_thread" };
    println!("{} {} {}", name, env!("PEER_VERSION"), port);
    std::io::stdout().flush().unwrap();
}

async fn echo(workers: usize) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    say_hello(workers, listener.local_addr().unwrap().port());
    loop {
        let (mut s, _) = listener.accept().await.unwrap();
        s.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let mut buffer = [0u8; 4096];
            loop {
                match s.read(&mut buffer).await {
                    Ok(n) if n > 0 => {
                        if s.write_all(&buffer[..n]).await.is_err() {
                            break;
                        }
                    }
                    _ => break,
                }
            }
        });
    }
}

// The least of HTTP that a keep-alive client needs, and the same as bench/http.c does: requests end with an empty line.
async fn http(workers: usize) {
    const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nhello, world\n";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    say_hello(workers, listener.local_addr().unwrap().port());
    loop {
        let (mut s, _) = listener.accept().await.unwrap();
        s.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let (mut buffer, mut have) = ([0u8; 4096], 0);
            loop {
                match s.read(&mut buffer[have..]).await {
                    Ok(n) if n > 0 => have += n,
                    _ => return,
                }
                while let Some(end) = buffer[..have].windows(4).position(|w| w == b"\r\n\r\n") {
                    if !buffer.starts_with(b"GET ") || s.write_all(REPLY).await.is_err() {
                        return;
                    }
                    buffer.copy_within(end + 4..have, 0);
                    have -= end + 4;
                }
            }
        });
    }
}

async fn burst(n: usize) -> f64 {
    let start = Instant::now();
    let handles: Vec<JoinHandle<usize>> = (0..n).map(|i| tokio::spawn(async move { i })).collect();
    let mut sum = 0;
    for h in handles {
        sum += h.await.unwrap();
    }
    assert_eq!(sum, n * (n - 1) / 2);
    start.elapsed().as_nanos() as f64
}

async fn spawn(n: usize) -> Vec<f64> {
    let mut batches = 0.0;
    for _ in 0..n / BATCH {
        batches += burst(BATCH).await;
    }
    vec![batches / n as f64, burst(n).await / n as f64]
}

async fn yields(n: usize) -> Vec<f64> {
    let start = cpu_ns();
    let both: Vec<JoinHandle<()>> = (0..2)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..n {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for h in both {
        h.await.unwrap();
    }
    vec![(cpu_ns() - start) / (2.0 * n as f64)]
}

fn draw(x: &mut u64) -> u64 {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    *x
}

// A timer is in the wheel once it has been polled.
async fn begin(sleep: &mut std::pin::Pin<Box<tokio::time::Sleep>>) {
    std::future::poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context).is_ready())).await;
}

async fn many(n: usize) -> Vec<f64> {
    let mut x = 88172645463325252u64;
    let mut all = Vec::with_capacity(n);
    let start = Instant::now();
    for _ in 0..n {
        let mut sleep = Box::pin(tokio::time::sleep(Duration::from_millis(1000 + draw(&mut x) % 60000)));
        begin(&mut sleep).await;
        all.push(sleep);
    }
    let insert = start.elapsed().as_nanos() as f64 / n as f64;
    let start = Instant::now();
    all.clear();
    let cancel = start.elapsed().as_nanos() as f64 / n as f64;
    let first = tokio::time::Instant::now() + Duration::from_millis(20 + n as u64 / 500);
    for _ in 0..n {
        let mut sleep = Box::pin(tokio::time::sleep_until(first + Duration::from_nanos(draw(&mut x) % 60_000_000)));
        begin(&mut sleep).await;
        all.push(sleep);
    }
    let cpu = cpu_ns();
    for sleep in all.iter_mut() {
        sleep.await;
    }
    vec![insert, cancel, (cpu_ns() - cpu) / n as f64]
}

async fn timers(pairs: usize, n: usize, most: usize) -> Vec<f64> {
    const LIVE: usize = 10_000;
    let mut value = Vec::new();
    // Unconstrained: else every 128th poll would yield instead of inserting the timer.
    for size in [1000, 30_000, most] {
        value.append(&mut tokio::task::unconstrained(many(size)).await);
    }
    let start = Instant::now();
    tokio::task::unconstrained(async {
        for i in 0..pairs {
            let sleep = tokio::time::sleep(Duration::from_millis(1000 + (i % 1000) as u64));
            tokio::pin!(sleep);
            std::future::poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context).is_ready())).await;
        }
    })
    .await;
    value.push(start.elapsed().as_nanos() as f64 / pairs as f64);
    let each = n / LIVE;
    let cpu = cpu_ns();
    let tasks: Vec<JoinHandle<()>> = (0..LIVE)
        .map(|i| {
            tokio::spawn(async move {
                for k in 0..each {
                    tokio::time::sleep(Duration::from_millis(1 + ((i + k) % 10) as u64)).await;
                }
            })
        })
        .collect();
    for h in tasks {
        h.await.unwrap();
    }
    value.push((cpu_ns() - cpu) / (each * LIVE) as f64);
    value
}

fn compute() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(1) {}
}

/// Nanoseconds a job, so many at once.
async fn offload_wide(n: usize, width: usize, job: fn()) -> f64 {
    let start = Instant::now();
    let tasks: Vec<JoinHandle<()>> = (0..width)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..n / width {
                    tokio::task::spawn_blocking(job).await.unwrap();
                }
            })
        })
        .collect();
    for h in tasks {
        h.await.unwrap();
    }
    start.elapsed().as_nanos() as f64 / (n / width * width) as f64
}

async fn offload(n: usize) -> Vec<f64> {
    let hot = offload_wide(n, 1, || ()).await / 1e3;
    let mut parked = 0.0;
    for _ in 0..PAUSED {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let start = Instant::now();
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        parked += start.elapsed().as_nanos() as f64 / 1e3;
    }
    vec![hot, parked / PAUSED as f64, offload_wide(n, WIDTH, compute).await]
}

fn main() {
    let word: Vec<String> = std::env::args().collect();
    let number = |i: usize| -> usize { word.get(i).and_then(|w| w.parse().ok()).expect("a number is missing") };
    let workers = number(2);
    let mut builder = if workers == 0 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    if workers > 0 {
        builder.worker_threads(workers);
    }
    if word[1] == "offload" {
        builder.max_blocking_threads(number(3));
    }
    let runtime = builder.enable_all().build().unwrap();
    match word[1].as_str() {
        "echo" => runtime.block_on(async move { tokio::spawn(echo(workers)).await.unwrap() }),
        "stall" => runtime.block_on(async move { tokio::spawn(stall::stall(workers)).await.unwrap() }),
        "http" => runtime.block_on(async move { tokio::spawn(http(workers)).await.unwrap() }),
        _ => (),
    }
    say_hello(workers, 0);
    for _ in std::io::stdin().lock().lines() {
        let (a, b) = (number(3), if word.len() > 4 { number(4) } else { 0 });
        let c = if word.len() > 5 { number(5) } else { 0 };
        let kind = word[1].clone();
        let value = runtime.block_on(async move {
            tokio::spawn(async move {
                match kind.as_str() {
                    "spawn" => spawn(a).await,
                    "yield" => yields(a).await,
                    "timers" => timers(a, b, c).await,
                    "offload" => offload(b).await,
                    "pingpong" => talk::ping_pong(a as u64).await,
                    "parked" => tokio::task::spawn_blocking(move || talk::ping_pong_parked(a as u64)).await.unwrap(),
                    "bounded" => talk::bounded(a as u64).await,
                    "mutex" => talk::mutex(a as u64).await,
                    "skynet" => skynet::skynet(a as u64).await,
                    _ => panic!("no such work"),
                }
            })
            .await
            .unwrap()
        });
        let text: Vec<String> = value.iter().map(|v| format!("{:.6}", v)).collect();
        println!("{}", text.join(" "));
        std::io::stdout().flush().unwrap();
    }
}
