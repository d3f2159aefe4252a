//! A wire between clients and a server that does its worst.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use altofed::runtime::Task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The wire. It passes bytes, whatever they mean.
pub struct Wire {
    pub url: String,
    state: watch::Sender<State>,
    budgets: Arc<Mutex<VecDeque<usize>>>,
    _task: Task<()>,
}

#[derive(Clone, Copy)]
struct State {
    /// The address of the server, if there is one.
    upstream: Option<SocketAddr>,
    /// Whether what the server sends is held back.
    held: bool,
    /// Whether data is passed byte by byte.
    bytewise: bool,
    /// Connections of an older generation are dead.
    generation: u64,
}

impl Wire {
    /// Makes a wire that leads nowhere yet.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = watch::Sender::new(State {
            upstream: None,
            held: false,
            bytewise: false,
            generation: 0,
        });
        let budgets: Arc<Mutex<VecDeque<usize>>> = Arc::default();
        let (told, cuts) = (state.subscribe(), budgets.clone());
        let task = Task::spawn("wire", async move {
            while let Ok((client, _)) = listener.accept().await {
                let budget = cuts.lock().expect("no panic").pop_front();
                // The task is detached; it ends with the connection.
                tokio::spawn(pass(client, told.clone(), budget.unwrap_or(usize::MAX)));
            }
        });
        Self {
            url: format!("http://{address}"),
            state,
            budgets,
            _task: task,
        }
    }

    /// Leads new connections to this server from now on, or to none.
    pub fn lead_to(&self, url: Option<&str>) {
        let upstream = url.map(upstream);
        self.state.send_modify(|state| state.upstream = upstream);
    }

    /// Holds back what the server sends, or lets it go.
    pub fn hold(&self, held: bool) {
        self.state.send_modify(|state| state.held = held);
    }

    /// Passes what the server sends byte by byte, or as it comes.
    pub fn bytewise(&self, bytewise: bool) {
        self.state.send_modify(|state| state.bytewise = bytewise);
    }

    /// Kills all connections.
    pub fn kill(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }

    /// Cuts each of the next connections after this many bytes from the server.
    pub fn cut(&self, budgets: impl IntoIterator<Item = usize>) {
        self.budgets.lock().expect("no panic").extend(budgets);
    }

    /// Whether cuts are still to come.
    pub fn cuts_left(&self) -> bool {
        !self.budgets.lock().expect("no panic").is_empty()
    }

    /// Stops misbehaving.
    pub fn calm(&self) {
        self.budgets.lock().expect("no panic").clear();
        self.state.send_modify(|state| {
            (state.held, state.bytewise) = (false, false);
            state.generation += 1;
        });
    }
}

fn upstream(url: &str) -> SocketAddr {
    let address = url.trim_start_matches("http://");
    address.parse().expect("an address")
}

/// Passes a connection on until one end closes it, or it is cut or killed.
async fn pass(client: TcpStream, mut told: watch::Receiver<State>, budget: usize) {
    let State {
        upstream,
        generation,
        ..
    } = *told.borrow();
    let Some(upstream) = upstream else {
        return;
    };
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut lifetime = told.clone();
    let up = tokio::io::copy(&mut from_client, &mut to_server);
    let down = async {
        let mut left = budget;
        let mut buffer = vec![0; 4096];
        while left > 0 {
            let Ok(read) = from_server.read(&mut buffer).await else {
                return;
            };
            if read == 0 || told.wait_for(|state| !state.held).await.is_err() {
                return;
            }
            let bytes = &buffer[..read.min(left)];
            left -= bytes.len();
            let piece = if told.borrow().bytewise {
                1
            } else {
                bytes.len()
            };
            for piece in bytes.chunks(piece) {
                if to_client.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
    };
    let killed = lifetime.wait_for(|state| state.generation > generation);
    tokio::select! {
        _ = up => {}
        () = down => {}
        _ = killed => {}
    }
}
