//! The simulated GitHub on a thread of its own, which works only while the simulation waits for it; and the way to it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use pairbot::adapters::ManualClock;
use pairbot::github::{ServiceTransport, Transport, TransportError};
use pairbot::ports::Clock as _;
use pairbot_github_sim::{GitHubSim, SimClock, SimConfig};
use tokio::runtime::Runtime;

use super::weather::{Life, Weather};

/// The name under which everybody knows GitHub; git finds it through a proxy that is GitHub itself. No port gets into
/// what is written, so one history equals the next.
pub(super) const ADDRESS: &str = "http://github.sim";

#[derive(Debug)]
struct SameTime(ManualClock);

impl SimClock for SameTime {
    fn now_ms(&self) -> u64 {
        self.0.now().unix_ms
    }
}

/// GitHub, and the thread it answers on.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) github: GitHubSim,
    /// Where git finds it.
    pub(super) proxy: String,
    runtime: Option<Runtime>,
}

impl Host {
    pub(super) fn start(clock: &ManualClock, directory: std::path::PathBuf) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let clock = Arc::new(SameTime(clock.clone()));
        let (github, proxy) = on(&runtime, async move {
            let config = SimConfig {
                listen: None,
                clock,
                directory: Some(directory),
                server_url: Some(ADDRESS.to_owned()),
                ..SimConfig::default()
            };
            let github = GitHubSim::start(config).await.unwrap();
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let proxy = format!("http://{}", listener.local_addr().unwrap());
            let router = github.router();
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
            (github, proxy)
        });
        // Whoever drives the world carries the webhooks.
        github.hold_webhooks();
        Self { github, proxy, runtime: Some(runtime) }
    }

    /// Does something on GitHub's thread while this one waits.
    fn there<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        on(self.runtime.as_ref().unwrap(), work)
    }
}

fn on<T: Send + 'static>(runtime: &Runtime, work: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        // Who asked waits for it.
        drop(sender.send(work.await));
    });
    receiver.recv().unwrap()
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The way to GitHub, with trouble.
#[derive(Debug)]
pub(super) struct TroubledTransport {
    pub(super) host: Arc<Host>,
    pub(super) life: Arc<Life>,
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// It never leaves.
    NotSent,
    /// It is refused with this status and not carried out.
    Refused(u16),
    /// It is told to come back later and not carried out.
    Limited,
    /// It is not carried out and never answered.
    Silence,
    /// It is carried out, and the connection breaks before the answer.
    AnswerLost,
    /// It is carried out, and answered with nonsense of this status.
    AnswerReplaced(u16),
    /// It is carried out, and the answer breaks off.
    AnswerTorn,
}

/// How many ways to fail there are, the frequent ones counted more than once.
pub(super) const GITHUB_KINDS: u64 = 12;

fn trouble(weather: &Weather, method: &Method) -> Option<Trouble> {
    let (chance, rates) = (&weather.chance, weather.rates());
    let spared = rates.github_writes_only && *method == Method::GET;
    if spared || !chance.per_mille(rates.github) {
        return None;
    }
    Some(match rates.github_kind.unwrap_or_else(|| chance.below(GITHUB_KINDS)) {
        0 => Trouble::NotSent,
        1 | 2 => Trouble::Refused(*chance.pick(&[500, 502, 503, 504])),
        3 | 4 => Trouble::Limited,
        5 => Trouble::Silence,
        6..9 => Trouble::AnswerLost,
        9 | 10 => Trouble::AnswerReplaced(*chance.pick(&[500, 502, 504])),
        _ => Trouble::AnswerTorn,
    })
}

fn answer(status: u16, body: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

#[async_trait]
impl Transport for TroubledTransport {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let what = format!("{} {}", request.method(), request.uri().path());
        let call = self.life.call(&what, self.sent(&what, request));
        call.await.unwrap_or_else(|_gone| Err(TransportError::NotSent("no power".to_owned())))
    }
}

impl TroubledTransport {
    async fn sent(&self, what: &str, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let weather = self.life.weather();
        let trouble = trouble(weather, request.method());
        if let Some(trouble) = trouble {
            weather.note(format_args!("{what}: {trouble:?}"));
        }
        match trouble {
            Some(Trouble::NotSent) => return Err(TransportError::NotSent("no route".to_owned())),
            Some(Trouble::Refused(status)) => return Ok(answer(status, "<html>Unicorn!</html>")),
            Some(Trouble::Limited) => return Ok(limited(weather, request.method())),
            Some(Trouble::Silence) => {
                weather.clock.sleep(Duration::from_hours(1)).await;
                return Err(TransportError::Broken("silence".to_owned()));
            }
            Some(Trouble::AnswerLost | Trouble::AnswerReplaced(_) | Trouble::AnswerTorn) | None => {}
        }
        let service = ServiceTransport::new(self.host.github.router());
        let answered = self.host.there(async move { service.exchange(request).await })?;
        match trouble {
            Some(Trouble::AnswerLost) => Err(TransportError::Broken("connection reset".to_owned())),
            Some(Trouble::AnswerReplaced(status)) => Ok(answer(status, "<html>Unicorn!</html>")),
            Some(Trouble::AnswerTorn) => Ok(answered.map(|body| body.slice(..body.len() / 2))),
            Some(Trouble::NotSent | Trouble::Refused(_) | Trouble::Limited | Trouble::Silence) | None => {
                Ok(answered)
            }
        }
    }
}

/// A secondary limit, in one of the two ways in which GitHub tells it.
fn limited(weather: &Weather, method: &Method) -> Response<Bytes> {
    let seconds = weather.chance.between(1, 90);
    let status = if *method == Method::GET { 429 } else { 403 };
    let body = r#"{"message":"You have exceeded a secondary rate limit. Please wait a few minutes."}"#;
    let mut response = answer(status, body);
    response.headers_mut().insert("retry-after", HeaderValue::from(seconds));
    response
}
