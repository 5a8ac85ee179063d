//! The live page, its events, its figures for programs and for Prometheus, over HTTP.
//!
//! The server has a thread and a runtime of its own, so that the watch stays synchronous. It reads snapshots from a channel and
//! can change nothing. It speaks plain HTTP: on any address but loopback a token keeps strangers out, but whoever reads the
//! wire reads the token too, so an SSH tunnel to loopback is the better way.

mod access;
mod limits;
mod routes;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ffu_model::watch::Snapshot;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

pub use access::Access;

use crate::LiveError;
use limits::Bounded;

/// What running requests are given when the server ends.
const GRACE: Duration = Duration::from_secs(2);

/// A server that runs. It ends, gracefully and in bounded time, when this is dropped.
#[derive(Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl ServerHandle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to open in a browser. A token is not in it.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Ends the server: streams are closed, running answers are given two seconds.
    pub fn stop(self) {}
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// Serves snapshots on a listener until the handle is dropped. When the feed ends, viewers are told, and the last snapshot stays.
///
/// Refused are addresses other than loopback without a token, and tokens shorter than [`Access::LEAST_TOKEN`].
pub fn serve(
    listener: TcpListener,
    access: Access,
    feed: watch::Receiver<Arc<Snapshot>>,
) -> Result<ServerHandle, LiveError> {
    let address = listener
        .local_addr()
        .map_err(|source| cannot("an address that is not known", source))?;
    let guard = access::Guard::new(&access, address)?;
    let start = || -> io::Result<(Runtime, Bounded)> {
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        drop(entered);
        Ok((runtime, Bounded::new(listener)))
    };
    let (runtime, listener) = start().map_err(|source| cannot(&address.to_string(), source))?;
    let (stop, stopped) = watch::channel(false);
    let body = move || {
        runtime.block_on(run(listener, guard, feed, stopped));
        runtime.shutdown_background();
    };
    let thread = std::thread::Builder::new().name("ffu-live".to_owned()).spawn(body);
    let thread = thread.map_err(|source| cannot(&address.to_string(), source))?;
    Ok(ServerHandle {
        address,
        stop,
        thread: Some(thread),
    })
}

fn cannot(address: &str, source: io::Error) -> LiveError {
    LiveError::Serve {
        address: address.to_owned(),
        source,
    }
}

async fn run(
    listener: Bounded,
    guard: access::Guard,
    feed: watch::Receiver<Arc<Snapshot>>,
    stopped: watch::Receiver<bool>,
) {
    let router = routes::router(guard, feed, stopped.clone());
    let until = |mut stopped: watch::Receiver<bool>| async move {
        // An error means that the handle is gone, which is a stop as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(until(stopped.clone()));
    let deadline = async {
        until(stopped).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        _ = serving => {}
        () = deadline => {}
    }
}
