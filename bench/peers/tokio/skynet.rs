// skynet.rs - a tree of tasks: bench/skynet.c, results by channels and by awaiting the branches.
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;
use tokio::sync::mpsc;

const BRANCHES: u64 = 10;

type Node<T> = Pin<Box<dyn Future<Output = T> + Send>>;

fn by_channels(to: mpsc::Sender<u64>, first: u64, leaves: u64) -> Node<()> {
    Box::pin(async move {
        if leaves == 1 {
            to.send(first).await.unwrap();
            return;
        }
        let (branch, mut from) = mpsc::channel(BRANCHES as usize);
        let each = leaves / BRANCHES;
        for i in 0..BRANCHES {
            tokio::spawn(by_channels(branch.clone(), first + i * each, each));
        }
        let mut sum = 0;
        for _ in 0..BRANCHES {
            sum += from.recv().await.unwrap();
        }
        to.send(sum).await.unwrap();
    })
}

fn by_await(first: u64, leaves: u64) -> Node<u64> {
    Box::pin(async move {
        if leaves == 1 {
            return first;
        }
        let each = leaves / BRANCHES;
        let branches: Vec<_> = (0..BRANCHES).map(|i| tokio::spawn(by_await(first + i * each, each))).collect();
        let mut sum = 0;
        for b in branches {
            sum += b.await.unwrap();
        }
        sum
    })
}

/// VmHWM in MiB.
fn peak() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// From here on, peak() is what is needed from here on.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64 / 1e6
}

pub async fn skynet(leaves: u64) -> Vec<f64> {
    let wanted = leaves * (leaves - 1) / 2;
    forget_peak();
    let (to, mut from) = mpsc::channel(1);
    let start = Instant::now();
    tokio::spawn(by_channels(to, 0, leaves));
    assert_eq!(from.recv().await, Some(wanted));
    let mut value = vec![ms(start), peak()];
    forget_peak();
    let start = Instant::now();
    assert_eq!(tokio::spawn(by_await(0, leaves)).await.unwrap(), wanted);
    value.extend([ms(start), peak()]);
    value
}
