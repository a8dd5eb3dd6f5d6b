//! Serves it on http://localhost:3000.

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let router = downstream_axum_server::router("localhost", "http://localhost:3000");
    Ok(axum::serve(listener, router).await?)
}
