//! What is answered at which path.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ffu_model::watch::Snapshot;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::access::{self, Guard};
use crate::{metrics, page, report};

/// Event streams at one time.
const MOST_STREAMS: usize = 64;
/// The least time between two events.
const PACE: Duration = Duration::from_millis(500);
/// A stream without news says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(10);

const STYLE: &str = concat!(
    include_str!("../../assets/colours.css"),
    include_str!("../../assets/watch.css")
);
const SCRIPT: &str = concat!(
    include_str!("../../assets/base.js"),
    include_str!("../../assets/closer.js"),
    include_str!("../../assets/watch.js"),
);

#[derive(Clone)]
struct Shared {
    feed: watch::Receiver<Arc<Snapshot>>,
    /// The event that is sent to everyone, made once.
    event: watch::Receiver<Bytes>,
    stopped: watch::Receiver<bool>,
    streams: Arc<Semaphore>,
}

impl Shared {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.feed.borrow().clone()
    }
}

/// All paths, guarded. Must be called inside a runtime.
pub(super) fn router(guard: Guard, mut feed: watch::Receiver<Arc<Snapshot>>, stopped: watch::Receiver<bool>) -> Router {
    let (sender, event) = watch::channel(event(&feed.borrow_and_update()));
    tokio::spawn(make_events(feed.clone(), sender));
    let shared = Shared {
        feed,
        event,
        stopped,
        streams: Arc::new(Semaphore::new(MOST_STREAMS)),
    };
    Router::new()
        .route(
            "/",
            get(async || text("text/html", include_str!("../../assets/watch.html"))),
        )
        .route("/watch.css", get(async || text("text/css", STYLE)))
        .route("/watch.js", get(async || text("text/javascript", SCRIPT)))
        .route("/events", get(events))
        .route(
            "/api/snapshot",
            get(async |State(shared): State<Shared>| json(&page::trimmed(&shared.snapshot()))),
        )
        .route("/api/targets", get(search))
        .route("/api/target/{number}", get(target))
        .route("/metrics", get(prometheus))
        .route("/report.html", get(report_page))
        .with_state(shared)
        .layer(from_fn_with_state(guard, access::guard))
}

fn text(kind: &str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, format!("{kind}; charset=utf-8"))], body.into()).into_response()
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// A snapshot as a server-sent event. JSON has no line breaks in it.
fn event(snapshot: &Snapshot) -> Bytes {
    let json = serde_json::to_string(&page::view(snapshot)).unwrap_or_else(|_| "null".to_owned());
    format!("retry: 2000\nevent: snapshot\ndata: {json}\n\n").into()
}

/// Follows the feed at the pace of events, until it ends. What the feed holds now has been made into an event already.
async fn make_events(mut feed: watch::Receiver<Arc<Snapshot>>, events: watch::Sender<Bytes>) {
    while feed.changed().await.is_ok() {
        let snapshot = feed.borrow_and_update().clone();
        events.send_replace(event(&snapshot));
        tokio::time::sleep(PACE).await;
    }
}

async fn events(State(shared): State<Shared>) -> Response {
    let Ok(place) = shared.streams.clone().try_acquire_owned() else {
        let text = format!("{MOST_STREAMS} viewers are here already\n");
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")], text).into_response();
    };
    let mut events = shared.event.clone();
    events.mark_changed();
    let viewer = Viewer {
        events,
        stopped: shared.stopped,
        over: false,
        _place: place,
    };
    let stream = stream::unfold(viewer, async |mut viewer| {
        let bytes = viewer.next().await?;
        Some((Ok::<_, Infallible>(bytes), viewer))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream)).into_response()
}

/// One who follows the events. It holds no event but the latest, however slowly it reads.
struct Viewer {
    events: watch::Receiver<Bytes>,
    stopped: watch::Receiver<bool>,
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
    /// What is sent next; `None` closes the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stop| *stop) => None,
            changed = self.events.changed() => Some(match changed {
                Ok(()) => self.events.borrow_and_update().clone(),
                Err(_) => {
                    self.over = true;
                    Bytes::from_static(b"event: end\ndata: {}\n\n")
                }
            }),
            () = tokio::time::sleep(HEARTBEAT) => Some(Bytes::from_static(b": alive\n\n")),
        }
    }
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    q: String,
}

async fn search(State(shared): State<Shared>, Query(search): Query<Search>) -> Response {
    if search.q.chars().count() > 200 {
        return (StatusCode::BAD_REQUEST, "a search has 200 characters at most\n").into_response();
    }
    json(&page::search(&shared.snapshot(), &search.q))
}

async fn target(State(shared): State<Shared>, Path(number): Path<u32>) -> Response {
    match page::closer(&shared.snapshot(), number) {
        Some(closer) => json(&closer),
        None => (StatusCode::NOT_FOUND, format!("there is no target {number}\n")).into_response(),
    }
}

async fn prometheus(State(shared): State<Shared>) -> Response {
    text("text/plain; version=0.0.4", metrics::metrics(&shared.snapshot()))
}

async fn report_page(State(shared): State<Shared>) -> Response {
    let mut response = text("text/html", report::html(&shared.snapshot()));
    let policy = header::HeaderValue::from_static(report::POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
