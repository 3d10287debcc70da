//! A service in one place: what `#[service]` writes, over real sockets.
#![cfg(feature = "macros")]

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use grid_transport::{Connection, Manager, NoAuth, Serving};
use grid_typed::{
    CallError, Context, HandlerError, ManagerBuilderExt as _, NoPayload, Service as _, Timestamp,
    TypedError, TypedStreamCall, golden,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// A page of a book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    number: u32,
    text: String,
    #[serde(with = "serde_bytes")]
    picture: Vec<u8>,
    written: Option<Timestamp>,
    mood: Mood,
}

/// How a page reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Mood {
    /// Well.
    Good(u8),
    /// Not so well.
    Bad {
        /// What is wrong with it.
        because: String,
    },
}

/// Books of one node.
#[grid_typed::service]
pub trait Shelf {
    /// How many pages there are with this one.
    #[handler(id = 210, urgent, limit = 64)]
    async fn add(&self, page: Page, context: Context) -> Result<usize, HandlerError>;

    /// Forgets all.
    #[handler(id = 211, abort_on_cancel)]
    async fn clear(&self, nothing: NoPayload, context: Context) -> Result<NoPayload, HandlerError>;

    /// All pages from a number on.
    #[handler(id = 212, input = 0, output = 4)]
    async fn pages(
        &self,
        from: u32,
        call: TypedStreamCall<Infallible, Page>,
    ) -> Result<(), HandlerError>;

    /// Adds what comes, and says how many there are with each.
    #[handler(id = 213, input = 4, output = 4, urgent)]
    async fn fill(
        &self,
        nothing: NoPayload,
        call: TypedStreamCall<Page, usize>,
    ) -> Result<(), HandlerError>;
}

#[derive(Debug, Default)]
struct Memory {
    pages: Mutex<Vec<Page>>,
    cleared: AtomicUsize,
}

impl Memory {
    fn push(&self, page: Page) -> usize {
        let mut pages = self.pages.lock().unwrap();
        pages.push(page);
        pages.len()
    }
}

impl Shelf for Memory {
    async fn add(&self, page: Page, context: Context) -> Result<usize, HandlerError> {
        if page.text.is_empty() {
            return Err(HandlerError::new(format!(
                "an empty page of {}",
                context.caller().len()
            )));
        }
        Ok(self.push(page))
    }

    async fn clear(&self, _: NoPayload, _: Context) -> Result<NoPayload, HandlerError> {
        self.pages.lock().unwrap().clear();
        self.cleared.fetch_add(1, Ordering::Relaxed);
        Ok(NoPayload)
    }

    async fn pages(
        &self,
        from: u32,
        call: TypedStreamCall<Infallible, Page>,
    ) -> Result<(), HandlerError> {
        let pages = self.pages.lock().unwrap().clone();
        for page in pages.iter().filter(|page| page.number >= from) {
            call.send(page).await?;
        }
        Ok(())
    }

    async fn fill(
        &self,
        _: NoPayload,
        mut call: TypedStreamCall<Page, usize>,
    ) -> Result<(), HandlerError> {
        while let Some(page) = call.recv().await {
            let count = self.push(page?);
            call.send(&count).await?;
        }
        Ok(())
    }
}

fn page(number: u32) -> Page {
    Page {
        number,
        text: format!("page {number}"),
        picture: vec![7; 9],
        written: Some(Timestamp::ZERO),
        mood: Mood::Good(3),
    }
}

struct Nodes {
    near: Manager,
    far: Manager,
    serving: Vec<Serving>,
}

impl Nodes {
    /// Both have a shelf, and another one under a subroute.
    async fn with(shelves: [Arc<Memory>; 2]) -> Self {
        let mut sockets = Vec::new();
        for _ in 0..2 {
            sockets.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let name = |socket: &TcpListener| format!("http://{}", socket.local_addr().unwrap());
        let names: Vec<_> = sockets.iter().map(name).collect();
        let mut nodes = Vec::new();
        let mut serving = Vec::new();
        for (name, socket) in names.iter().zip(sockets) {
            let [shelf, cellar] = &shelves;
            let node = Manager::builder(name)
                .peers(names.clone())
                .auth(NoAuth)
                .service(ShelfServer::shared(shelf.clone()))
                .service(ShelfServer::shared(cellar.clone()).subroute("cellar"))
                .build()
                .unwrap();
            serving.push(node.serve(socket).unwrap());
            nodes.push(node);
        }
        let (far, near) = (nodes.pop().unwrap(), nodes.pop().unwrap());
        let nodes = Self { near, far, serving };
        nodes.peer().connected().await.unwrap();
        nodes
    }

    fn peer(&self) -> Connection {
        self.near.connection(self.far.local()).unwrap()
    }

    async fn end(self) {
        let grace = Duration::from_secs(1);
        tokio::join!(self.near.shutdown(grace), self.far.shutdown(grace));
        for mut serving in self.serving {
            serving.stopped().await;
        }
    }
}

#[tokio::test]
async fn every_method_is_a_handler_and_a_call() {
    let [shelf, cellar] = [(); 2].map(|()| Arc::new(Memory::default()));
    let nodes = Nodes::with([shelf.clone(), cellar.clone()]).await;
    let client = ShelfClient::new(nodes.peer());
    assert_eq!(
        client
            .add(&page(1))
            .timeout(Duration::from_secs(60))
            .await
            .unwrap(),
        1
    );
    assert_eq!(client.add(&page(2)).await.unwrap(), 2);
    let empty = Page {
        text: String::new(),
        ..page(3)
    };
    let error = client.add(&empty).await.unwrap_err();
    assert!(
        matches!(&error, TypedError::Call(CallError::Remote(_))),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        format!("an empty page of {}", nodes.near.local().len())
    );

    let mut stream = client.pages(&2).await.unwrap();
    assert_eq!(stream.recv().await.unwrap().unwrap(), page(2));
    assert!(stream.recv().await.is_none());

    let mut stream = client.fill(&NoPayload).urgent().await.unwrap();
    for number in 3..6 {
        stream.send(&page(number)).await.unwrap();
        assert_eq!(stream.recv().await.unwrap().unwrap(), number as usize);
    }
    stream.finish();
    assert!(stream.recv().await.is_none());
    assert_eq!(shelf.pages.lock().unwrap().len(), 5);

    // Another one, under its subroute.
    let below = ShelfClient::new(nodes.peer().subroute("cellar"));
    assert_eq!(below.add(&page(1)).await.unwrap(), 1);
    below.clear(&NoPayload).await.unwrap();
    assert_eq!(cellar.cleared.load(Ordering::Relaxed), 1);
    assert_eq!(shelf.cleared.load(Ordering::Relaxed), 0);
    nodes.end().await;
}

#[test]
fn what_is_urgent_is_registered_so() {
    let handlers = ShelfServer::new(Memory::default()).handlers();
    let urgent: Vec<_> = handlers
        .iter()
        .map(|handler| format!("{handler:?}").contains("urgent: true"))
        .collect();
    assert_eq!(urgent, [true, false, false, true]);
}

#[test]
fn the_definitions_are_constants() {
    assert_eq!(ShelfClient::ADD.id().get(), 210);
    let capacity = ShelfClient::FILL.capacity();
    assert_eq!(
        (
            ShelfClient::FILL.id().get(),
            capacity.input,
            capacity.output
        ),
        (213, 4, 4)
    );
    assert_eq!(ShelfClient::PAGES.capacity().input, 0);
}

/// Run with `GRID_GOLDEN=write` where a change is meant.
#[test]
fn ids_and_shapes_are_as_they_were() {
    golden::check("tests/service/wire.txt", &[ShelfClient::describe()]).unwrap();
}
