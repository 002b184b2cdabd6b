//! A running provider: a thread with its own runtime, listening on loopback.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::serve::ListenerExt;
use tokio::sync::oneshot;

use crate::books::{Books, CallRecord};
use crate::builder::Setup;
use crate::edge::{Shared, router};

/// A provider that listens on 127.0.0.1 until it is shut down or dropped.
///
/// Paths: `/v1/chat/completions` (OpenAI's format or, by preset or for the host `api.llama.com`, Meta's),
/// `/compat/v1/chat/completions` (OpenAI's), `/llama/v1/chat/completions` (Meta's), `/v1/messages` (Anthropic's),
/// `/generate` and `/v1/process` (generic); and `/admin/books`, `/admin/calls`, `/admin/limits`.
///
/// A key comes as `authorization: Bearer` or `x-api-key`. `sk-TEAM-anything` belongs to `TEAM`, any other key is a team of
/// its own, which the books name by a hash of the key.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(setup: Setup, addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let shared = Arc::new(Shared::new(setup));
        let app = router(Arc::clone(&shared));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("tollgate-sim".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    // A stream's small frames must not wait for one another.
                    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
                    tokio::select! {
                        _ = axum::serve(listener, app) => {}
                        _ = stopped => {}
                    }
                });
                // The runtime ends here, and with it every running call, which books itself as aborted.
            })?;
        Ok(Self {
            addr,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens, as `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it has counted so far. A call is in the books before the last byte of its answer is sent.
    #[must_use]
    pub fn books(&self) -> Books {
        self.shared.books()
    }

    /// The last [`MOST_RECORDS`](crate::MOST_RECORDS) calls that have ended, in the order of their arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<CallRecord> {
        self.shared.calls()
    }

    /// One line per pool of models: which models it holds, and their quotas.
    #[must_use]
    pub fn limits(&self) -> Vec<String> {
        self.shared.limit_lines()
    }

    /// Stops listening, drops all connections and waits for the thread to end. Dropping the server does the same.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Nobody listens when the thread has already ended.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic on that thread has been printed; there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
