//! The connections of clients: how long they may be silent, and how they end.

use std::{convert::Infallible, io, time::Duration};

use axum::{Router, http::Request};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use keyfob_relying_party::server::Peer;
use tokio::{net::TcpListener, time};
use tokio_io_timeout::TimeoutStream;

/// How long requests under way may take once the server is to stop.
const FAREWELL: Duration = Duration::from_secs(10);
/// The pause after a connection could not be accepted: there may be no descriptor left.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stopped`, and then the requests that have begun, for 10 s at most. A connection on which a request's head
/// is not complete within `silence` is closed; so is one that is kept without a request, and one whose client does not read.
pub async fn serve(listener: TcpListener, router: Router, silence: Duration, stopped: impl Future<Output = ()>) {
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(silence);
    let connections = GracefulShutdown::new();
    tokio::select! {
        () = stopped => {}
        never = accept(&listener, &router, &protocol, silence, &connections) => match never {},
    }
    drop(listener);
    // Clients that are slow then are cut off.
    let _ = time::timeout(FAREWELL, connections.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    router: &Router,
    protocol: &http1::Builder,
    silence: Duration,
    connections: &GracefulShutdown,
) -> Infallible {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                    time::sleep(PAUSE).await;
                }
                continue;
            }
        };
        // An answer is one write, and should not wait for more.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(silence));
        let router = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer.ip()));
            router.call(request)
        });
        let connection = connections.watch(protocol.serve_connection(TokioIo::new(Box::pin(stream)), service));
        // An error is the client's: it broke off, or sent no HTTP.
        tokio::spawn(async move { drop(connection.await) });
    }
}
