//! A handler of server-sent events as one would write it at first: an event, then a comment
//! every 15 seconds.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::post;
use futures_util::stream;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Serves the handler at an address, as `axum::serve` would.
pub fn serve(address: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.expect("a free address");
        println!("listening");
        let router = Router::new().fallback(post(events));
        loop {
            let (tcp, _) = listener.accept().await.expect("a connection");
            tcp.set_nodelay(true).expect("a socket");
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let builder = Builder::new(TokioExecutor::new());
                builder.serve_connection(TokioIo::new(tcp), service).await
            });
        }
    });
}

async fn events() -> Sse<impl stream::Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(false, |begun| async move {
        let event = match begun {
            false => Event::default().data("{}"),
            true => {
                wait().await;
                Event::default().comment("")
            }
        };
        Some((Ok(event), true))
    }))
}

#[expect(
    clippy::disallowed_methods,
    reason = "it knows no clock but the real one"
)]
async fn wait() {
    tokio::time::sleep(KEEP_ALIVE).await;
}
