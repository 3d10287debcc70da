//! A file that goes over a stream, both ways: one node stores it at another, which cuts nothing short and mixes nothing up,
//! and fetches it back.
//!
//! Run it with `cargo run -p grid-transport --example large_file`.
//!
//! Neither node ever holds the file: a stream with room for eight items of 64 KiB carries it, and whoever is slower sets
//! the pace. The length and the SHA-256 hash of the whole come behind it and are compared at the other end, so that a file
//! that came is the one that was sent.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use grid_transport::{
    Capacity, Connection, HandlerError, HandlerId, Manager, NoAuth, StreamCall,
    large::{Receiver, Sender, Summary},
};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Both nodes have to agree on a stream's capacities: they are not on the wire.
const STORE: HandlerId = HandlerId::new(200);
const STORING: Capacity = Capacity::new(8, 1);
const FETCH: HandlerId = HandlerId::new(201);
const FETCHING: Capacity = Capacity::new(0, 8);

const SIZE: u64 = 64 * 1024 * 1024;
/// No file may be larger: a body has no end of its own.
const LARGEST: u64 = 1024 * 1024 * 1024;

/// Takes a file, and says what came. It has its name only when all of it is there.
async fn store(folder: Arc<Path>, mut call: StreamCall) -> Result<(), HandlerError> {
    let path = folder.join("stored");
    let partial = path.with_extension("part");
    let mut file = File::create(&partial).await?;
    let mut body = Receiver::new(&mut call).limit(LARGEST);
    // An end of file is that of a body that came whole; anything else is an error.
    tokio::io::copy(&mut body, &mut file).await?;
    let summary = body
        .summary()
        .ok_or_else(|| HandlerError::new("it did not end"))?;
    file.sync_all().await?;
    tokio::fs::rename(&partial, &path).await?;
    call.send(format!("{summary:?}")).await?;
    Ok(())
}

/// Sends the file back.
async fn fetch(folder: Arc<Path>, call: StreamCall) -> Result<(), HandlerError> {
    let file = File::open(folder.join("stored")).await?;
    Sender::new(call).send_reader(file).await?;
    Ok(())
}

async fn node(
    socket: TcpListener,
    name: &str,
    names: &[String],
    folder: Arc<Path>,
) -> Result<Manager, Box<dyn Error>> {
    let (storing, fetching) = (folder.clone(), folder);
    let node = Manager::builder(name)
        .peers(names)
        .auth(NoAuth)
        .stream(STORE, STORING, move |call| store(storing.clone(), call))
        .stream(FETCH, FETCHING, move |call| fetch(fetching.clone(), call))
        .build()?;
    node.serve(socket)?;
    Ok(node)
}

/// A file of which no two pages are alike.
async fn write_file(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = File::create(path).await?;
    let mut page = vec![0; 4096];
    for number in 0..SIZE / 4096 {
        for (byte, value) in page.iter_mut().zip(number.to_le_bytes().iter().cycle()) {
            *byte = *value;
        }
        file.write_all(&page).await?;
    }
    file.flush().await?;
    Ok(())
}

async fn send_file(peer: &Connection, path: &Path) -> Result<Summary, Box<dyn Error>> {
    // Lent, so that what the other node has to say can be received after it.
    let mut stream = peer.stream(STORE, STORING, "").await?;
    let sent = Sender::new(&mut stream)
        .send_reader(File::open(path).await?)
        .await?;
    let told = stream.recv().await.ok_or("no answer")??;
    if told.as_slice() != format!("{sent:?}").as_bytes() {
        return Err("the other node has something else".into());
    }
    // Only a clean end says that the handler is through with it.
    match stream.recv().await {
        None => Ok(sent),
        Some(_) => Err("the answer has no end".into()),
    }
}

/// A folder of our own, which goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            println!("{} stays: {error}", self.0.display());
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder =
        Folder(std::env::temp_dir().join(format!("grid-large-file-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0)?;
    let sockets = [
        TcpListener::bind("127.0.0.1:0").await?,
        TcpListener::bind("127.0.0.1:0").await?,
    ];
    let mut names = Vec::new();
    for socket in &sockets {
        names.push(format!("http://{}", socket.local_addr()?));
    }
    let mut nodes = Vec::new();
    for (socket, name) in sockets.into_iter().zip(&names) {
        nodes.push(node(socket, name, &names, folder.0.as_path().into()).await?);
    }
    let peer = nodes[0].connection(&names[1])?;
    peer.connected().await?;

    let path = folder.0.join("original");
    write_file(&path).await?;
    let sent = send_file(&peer, &path).await?;
    println!("stored {} bytes", sent.len);

    let mut body = Receiver::new(peer.stream(FETCH, FETCHING, "").await?).limit(LARGEST);
    let copy = folder.0.join("copy");
    let mut file = File::create(&copy).await?;
    tokio::io::copy(&mut body, &mut file).await?;
    file.flush().await?;
    if body.summary() != Some(sent) {
        return Err("another file came back".into());
    }
    println!("fetched it again: {sent:?}");

    // What is not there is an error of the one who asked for it.
    tokio::fs::remove_file(folder.0.join("stored")).await?;
    let mut body = Receiver::new(peer.stream(FETCH, FETCHING, "").await?);
    let mut nothing = Vec::new();
    match body.read_to_end(&mut nothing).await {
        Err(error) if nothing.is_empty() => println!("a file that is gone: {error}"),
        _ => return Err("a file that is gone was fetched".into()),
    }
    for node in &nodes {
        node.shutdown(Duration::from_secs(5)).await;
    }
    Ok(())
}
