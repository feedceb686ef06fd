//! The way to the scripted models, with trouble.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request, Response};
use pairbot::gateway::{AnswerBody, ModelTransport, SendError};
use pairbot::ports::Clock as _;
use pairbot_model_sim::{Fault, ModelSim, When};
use tower::ServiceExt as _;

use super::weather::{Life, Weather};

/// The models behind the weather.
#[derive(Debug)]
pub(super) struct TroubledModels {
    pub(super) models: Arc<ModelSim>,
    pub(super) life: Arc<Life>,
}

/// What goes wrong at the provider with one call; nothing if the call is not even sent.
fn fault(weather: &Weather) -> Option<Fault> {
    let chance = &weather.chance;
    Some(match chance.below(20) {
        0 | 1 => return None,
        2 | 3 => Fault::rate_limited(chance.between(1, 200)),
        4 | 5 => Fault::status(529),
        6 | 7 => Fault::status(*chance.pick(&[500, 502, 503])),
        8 | 9 => Fault::ErrorInStream,
        10..13 => Fault::Cut,
        13 => Fault::Hang,
        14 => Fault::HangInStream,
        15 => Fault::MalformedToolJson,
        16 => Fault::MaxTokens,
        17 => Fault::PauseTurn,
        18 => Fault::Garbage,
        _ => Fault::Refusal,
    })
}

#[async_trait]
impl ModelTransport for TroubledModels {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<AnswerBody>, SendError> {
        let call = self.life.call("model", self.sent(request));
        call.await.unwrap_or_else(|_gone| Err(SendError::NotSent("no power".to_owned())))
    }
}

impl TroubledModels {
    async fn sent(&self, request: Request<Bytes>) -> Result<Response<AnswerBody>, SendError> {
        let weather = self.life.weather();
        if weather.chance.per_mille(weather.rates().models) {
            let fault = fault(weather);
            weather.note(format_args!("model: {}", fault.as_ref().map_or("not sent", Fault::name)));
            match fault {
                None => return Err(SendError::NotSent("no route".to_owned())),
                Some(fault) => self.models.inject(When::next_call(), fault),
            }
        }
        let answered = self.models.router().oneshot(request.map(Body::from));
        let Ok(response) = answered.await;
        let life = Arc::clone(&self.life);
        Ok(response.map(|body| {
            let pieces = body.into_data_stream().then(move |piece| {
                let life = Arc::clone(&life);
                async move {
                    if life.is_off() {
                        // The stream of a process that is no more.
                        life.weather().clock.sleep(Duration::from_hours(1)).await;
                    }
                    piece.map_err(|error| error.to_string())
                }
            });
            pieces.boxed()
        }))
    }
}
