//! A link between sender and service that breaks: after so many bytes, in either direction.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A link that is up until it is dropped.
pub struct Link {
    pub port: u16,
    broken: Arc<AtomicU64>,
    down: Arc<AtomicBool>,
}

impl Link {
    /// A link to a port. About one connection in five breaks.
    pub fn to(port: u16) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mine = listener.local_addr().expect("its address").port();
        let (broken, down) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ended) = (broken.clone(), down.clone());
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let Ok(service) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let lot = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
                let (up, down) = match lot % 10 {
                    0 => (lot >> 8 & 0x3fff, u64::MAX),
                    1 => (u64::MAX, lot >> 8 & 0xff),
                    _ => (u64::MAX, u64::MAX),
                };
                if up.min(down) < u64::MAX {
                    counted.fetch_add(1, Ordering::AcqRel);
                }
                let (other, back) = (stream.try_clone(), service.try_clone());
                if let (Ok(other), Ok(back)) = (other, back) {
                    std::thread::spawn(move || carry(stream, service, up));
                    std::thread::spawn(move || carry(back, other, down));
                }
            }
        });
        Link { port: mine, broken, down }
    }

    /// Connections that it broke.
    pub fn broken(&self) -> u64 {
        self.broken.load(Ordering::Acquire)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.down.store(true, Ordering::Release);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Carries so many bytes, then breaks both ends.
fn carry(mut from: TcpStream, mut to: TcpStream, mut left: u64) {
    let mut buffer = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let read = (read as u64).min(left);
        if to.write_all(&buffer[..read as usize]).is_err() {
            break;
        }
        left -= read;
        if left == 0 {
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
    }
    let _ = to.shutdown(if left == 0 { Shutdown::Both } else { Shutdown::Write });
}
