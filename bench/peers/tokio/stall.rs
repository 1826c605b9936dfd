// stall.rs - the server that bench/stall_load.c measures; bench/stall.h says what a message is.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn compute(turns: u64) -> u64 {
    let mut x = 88172645463325252u64;
    for _ in 0..turns {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

async fn answer(mut s: TcpStream) {
    let mut message = [0u8; 64];
    while s.read_exact(&mut message).await.is_ok() {
        let turns = u64::from_le_bytes(message[..8].try_into().unwrap());
        if turns > 0 {
            let is_away = message[16] != 0;
            let result = match is_away {
                true => tokio::task::spawn_blocking(move || compute(turns)).await.unwrap(),
                false => compute(turns),
            };
            message[8..16].copy_from_slice(&result.to_le_bytes());
        }
        if s.write_all(&message).await.is_err() {
            return;
        }
    }
}

pub async fn stall(workers: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    crate::say_hello(workers, listener.local_addr().unwrap().port());
    loop {
        let (s, _) = listener.accept().await.unwrap();
        s.set_nodelay(true).unwrap();
        tokio::spawn(answer(s));
    }
}
