//! Servers in a namespace, each a thread that has entered it. They end with the test.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

/// Ends servers when it is dropped.
pub struct Servers {
    space: String,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Servers {
    pub fn new(space: &str) -> Servers {
        Servers {
            space: space.to_owned(),
            stop: Arc::default(),
            threads: Vec::new(),
        }
    }

    /// Runs this in the namespace, on a thread; it says when it is ready.
    fn run(&mut self, serve: impl FnOnce(&AtomicBool, &dyn Fn()) + Send + 'static) {
        let (space, stop) = (self.space.clone(), Arc::clone(&self.stop));
        let (ready, is_ready) = channel();
        self.threads.push(std::thread::spawn(move || {
            let space = std::fs::File::open(format!("/run/netns/{space}")).expect("the namespace");
            setns(space, CloneFlags::CLONE_NEWNET).expect("enters it");
            serve(&stop, &|| ready.send(()).expect("waited for"));
        }));
        is_ready.recv().expect("the server starts");
    }

    /// UDP on all addresses of both families: `answer` gets each datagram and sends what it wants.
    pub fn udp(&mut self, port: u16, mut answer: impl FnMut(&UdpSocket, &[u8], std::net::SocketAddr) + Send + 'static) {
        self.run(move |stop, ready| {
            let socket = UdpSocket::bind(("0.0.0.0", port)).expect("binds");
            socket
                .set_read_timeout(Some(Duration::from_millis(20)))
                .expect("a timeout");
            ready();
            let mut buffer = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    answer(&socket, &buffer[..length], from);
                }
            }
        });
    }

    /// TCP: each connection is a thread that reads lines; `answer` gives what is written, `None` closes it.
    pub fn tcp(&mut self, port: u16, answer: impl Fn(&str) -> Option<String> + Send + Sync + Clone + 'static) {
        self.run(move |stop, ready| {
            let listener = TcpListener::bind(("0.0.0.0", port)).expect("binds");
            listener.set_nonblocking(true).expect("nonblocking");
            ready();
            while !stop.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                let answer = answer.clone();
                stream.set_nonblocking(false).expect("blocking");
                std::thread::spawn(move || {
                    let Ok(mut writer) = stream.try_clone() else { return };
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        match answer(&line) {
                            Some(text) if writer.write_all(text.as_bytes()).is_ok() => {}
                            _ => {
                                let _ = writer.shutdown(std::net::Shutdown::Both);
                                return;
                            }
                        }
                    }
                });
            }
        });
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a server failed");
        }
    }
}

/// A DNS server that knows nothing: every query is answered with NXDOMAIN.
pub fn dns(socket: &UdpSocket, query: &[u8], from: std::net::SocketAddr) {
    let mut answer = query.to_vec();
    answer[2] |= 0x80;
    answer[3] = 3;
    let _ = socket.send_to(&answer, from);
}

/// Sends everything back.
pub fn echo(socket: &UdpSocket, bytes: &[u8], from: std::net::SocketAddr) {
    let _ = socket.send_to(bytes, from);
}
