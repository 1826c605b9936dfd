// talk.rs - what tasks say to each other: bench/pingpong.c, chan.c and mutex.c, by tokio::sync.
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, Mutex};

const CAPACITY: usize = 1024;
const PAUSE: Duration = Duration::from_micros(100);

fn compute(pause: Duration) {
    let start = Instant::now();
    while start.elapsed() < pause {}
}

async fn serve(mut ping: mpsc::Receiver<u64>, pong: mpsc::Sender<u64>, pause: Option<Duration>) {
    while let Some(v) = ping.recv().await {
        pause.map(compute);
        pong.send(v + 1).await.unwrap();
    }
}

async fn ask(ping: mpsc::Sender<u64>, mut pong: mpsc::Receiver<u64>, n: u64, pause: Option<Duration>) -> f64 {
    let start = Instant::now();
    for i in 0..n {
        pause.map(compute);
        ping.send(i).await.unwrap();
        assert_eq!(pong.recv().await, Some(i + 1));
    }
    start.elapsed().as_nanos() as f64 / n as f64 - pause.map_or(0.0, |p| 2.0 * p.as_nanos() as f64)
}

pub async fn ping_pong(n: u64) -> Vec<f64> {
    let (ping, ping_to) = mpsc::channel(1);
    let (pong, pong_to) = mpsc::channel(1);
    let server = tokio::spawn(serve(ping_to, pong, None));
    let ns = ask(ping, pong_to, n, None).await;
    server.await.unwrap();
    vec![ns]
}

fn bind(cpu_of_ours: usize) {
    unsafe {
        let size = std::mem::size_of::<libc::cpu_set_t>();
        let (mut all, mut one): (libc::cpu_set_t, libc::cpu_set_t) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sched_getaffinity(0, size, &mut all);
        let cpus: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(|&c| libc::CPU_ISSET(c, &all)).collect();
        libc::CPU_SET(cpus[cpu_of_ours % cpus.len()], &mut one);
        libc::sched_setaffinity(0, size, &one);
    }
}

/// A thread, a core and a current-thread runtime for each of the two: tasks cannot be told where to stay.
pub fn ping_pong_parked(n: u64) -> Vec<f64> {
    let (ping, ping_to) = mpsc::channel(1);
    let (pong, pong_to) = mpsc::channel(1);
    let alone = |cpu| {
        bind(cpu);
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    };
    let server = std::thread::spawn(move || alone(1).block_on(serve(ping_to, pong, Some(PAUSE))));
    let client = std::thread::spawn(move || alone(0).block_on(ask(ping, pong_to, n, Some(PAUSE))));
    let ns = client.join().unwrap();
    server.join().unwrap();
    vec![ns]
}

async fn receive_alone(from: Arc<Mutex<mpsc::Receiver<u64>>>) -> (u64, u64) {
    let (mut from, mut count, mut sum) = (from.lock().await, 0, 0);
    while let Some(v) = from.recv().await {
        count += 1;
        sum += v;
    }
    (count, sum)
}

async fn receive_among(from: Arc<Mutex<mpsc::Receiver<u64>>>) -> (u64, u64) {
    let (mut count, mut sum) = (0, 0);
    loop {
        let v = from.lock().await.recv().await;
        match v {
            Some(v) => {
                count += 1;
                sum += v;
            }
            None => return (count, sum),
        }
    }
}

async fn transfer(n: u64, producers: u64, consumers: u64) -> f64 {
    let (to, from) = mpsc::channel(CAPACITY);
    let from = Arc::new(Mutex::new(from));
    let start = Instant::now();
    let receiving: Vec<_> = (0..consumers)
        .map(|_| {
            let from = from.clone();
            if consumers == 1 {
                tokio::spawn(receive_alone(from))
            } else {
                tokio::spawn(receive_among(from))
            }
        })
        .collect();
    for i in 0..producers {
        let to = to.clone();
        tokio::spawn(async move {
            for v in n / producers * i..n / producers * (i + 1) {
                to.send(v).await.unwrap();
            }
        });
    }
    drop(to);
    let (mut count, mut sum) = (0, 0);
    for r in receiving {
        let part = r.await.unwrap();
        count += part.0;
        sum += part.1;
    }
    let ns = start.elapsed().as_nanos() as f64 / n as f64;
    assert_eq!((count, sum), (n, n * (n - 1) / 2));
    ns
}

pub async fn bounded(n: u64) -> Vec<f64> {
    vec![transfer(n, 1, 1).await, transfer(n, 4, 1).await, transfer(n, 4, 4).await]
}

async fn contend(n: u64, tasks: u64) -> f64 {
    let counter = Arc::new(Mutex::new(0u64));
    let start = Instant::now();
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            let counter = counter.clone();
            tokio::spawn(async move {
                for _ in 0..n / tasks {
                    *counter.lock().await += 1;
                    let mut own = 0u64;
                    for _ in 0..16 {
                        own = std::hint::black_box(own + 1);
                    }
                }
            })
        })
        .collect();
    for h in all {
        h.await.unwrap();
    }
    let ns = start.elapsed().as_nanos() as f64 / n as f64;
    assert_eq!(*counter.lock().await, n);
    ns
}

pub async fn mutex(n: u64) -> Vec<f64> {
    let lock = Mutex::new(());
    let start = Instant::now();
    for _ in 0..n {
        drop(lock.lock().await);
    }
    let alone = start.elapsed().as_nanos() as f64 / n as f64;
    vec![alone, contend(n, 4).await]
}
