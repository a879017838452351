//! A copy in CloudWatch Logs: one call a batch, an answer for each event, and the group and stream made where they are
//! missing.
//!
//! A reply of 200 is not acceptance: `rejectedLogEventsInfo` says which events were refused by their time.

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::types::{InputLogEvent, RejectedLogEventsInfo};
use process::aws;
use store::Timestamp;

use super::{Page, PageToken, Retention, Section, SendError, Verdict};
use crate::batch::OutgoingEvent;

/// Rows that vouch for a backup.
const BACKUPS: &str = r#"{ $.action = "BACKUP_CREATED" || $.action = "DATABASE_RESTORED" }"#;

/// A group and a stream in it.
pub struct CloudWatchSink {
    group: String,
    stream: String,
    retention_days: i32,
    /// None as long as no region is known.
    client: Option<Client>,
}

impl CloudWatchSink {
    pub(super) async fn open(group: &str, stream: &str, retention_days: i32) -> CloudWatchSink {
        let client = connect().await;
        CloudWatchSink { group: group.to_owned(), stream: stream.to_owned(), retention_days, client }
    }

    async fn client(&mut self) -> Result<Client, SendError> {
        if self.client.is_none() {
            // A region that was not known yet may be by now: the metadata service comes up with the network.
            self.client = connect().await;
        }
        self.client.clone().ok_or_else(|| {
            SendError::Outage(
                "no AWS region is known: set AWS_REGION, or let this machine have a role and its metadata service"
                    .to_owned(),
            )
        })
    }

    pub(super) async fn send(&mut self, events: Vec<OutgoingEvent>) -> Result<Vec<Verdict>, SendError> {
        let count = events.len();
        let mut inputs = Vec::with_capacity(count);
        for event in events {
            let input = InputLogEvent::builder().timestamp(event.stamp.as_millis()).message(event.text).build();
            inputs.push(input.map_err(|error| SendError::Invalid(error.to_string()))?);
        }
        let client = self.client().await?;
        let call = client
            .put_log_events()
            .log_group_name(&self.group)
            .log_stream_name(&self.stream)
            .set_log_events(Some(inputs));
        let mut sent = call.clone().send().await;
        if sent.as_ref().is_err_and(|error| code(error) == Some("ResourceNotFoundException")) {
            self.create(&client).await?;
            sent = call.send().await;
        }
        match sent {
            Ok(reply) => Ok(verdicts(reply.rejected_log_events_info(), count)),
            // Nobody says this any more; it meant that the batch is there.
            Err(error) if code(&error) == Some("DataAlreadyAcceptedException") => Ok(vec![Verdict::Accepted; count]),
            Err(error) => {
                if code(&error).is_none_or(is_about_credentials) {
                    // The SDK keeps the credentials that it has read. An operator who mends them should not have to restart this.
                    self.client = None;
                }
                Err(self.explain("logs:PutLogEvents", &error))
            }
        }
    }

    /// Makes the stream, and before it the group where there is none. A group that somebody else made keeps its retention,
    /// and needs no right to make groups.
    async fn create(&self, client: &Client) -> Result<(), SendError> {
        if self.create_stream(client).await? {
            return Ok(());
        }
        match client.create_log_group().log_group_name(&self.group).send().await {
            Ok(_) => {
                let retention = client.put_retention_policy().log_group_name(&self.group);
                let set = retention.retention_in_days(self.retention_days).send().await;
                set.map_err(|error| self.explain("logs:PutRetentionPolicy", &error))?;
                tracing::info!(group = self.group, retention_days = self.retention_days, "made the log group");
            }
            Err(error) if code(&error) == Some("ResourceAlreadyExistsException") => {}
            Err(error) => return Err(self.explain("logs:CreateLogGroup", &error)),
        }
        match self.create_stream(client).await? {
            true => Ok(()),
            false => Err(SendError::Outage(format!("the log group {} went as soon as it was made", self.group))),
        }
    }

    /// False where there is no group for it.
    async fn create_stream(&self, client: &Client) -> Result<bool, SendError> {
        let stream = client.create_log_stream().log_group_name(&self.group).log_stream_name(&self.stream);
        match stream.send().await {
            Ok(_) => {
                tracing::info!(group = self.group, stream = self.stream, "made the log stream");
                Ok(true)
            }
            Err(error) => match code(&error) {
                Some("ResourceAlreadyExistsException") => Ok(true),
                Some("ResourceNotFoundException") => Ok(false),
                _ => Err(self.explain("logs:CreateLogStream", &error)),
            },
        }
    }

    /// How long the group keeps events; untold where there is no group yet.
    pub(super) async fn retention(&mut self) -> Result<Retention, SendError> {
        let asked = self.client().await?.describe_log_groups().log_group_name_prefix(&self.group).send().await;
        let reply = asked.map_err(|error| self.explain("logs:DescribeLogGroups", &error))?;
        // The name itself is the first of all that begin with it.
        let group = reply.log_groups().iter().find(|group| group.log_group_name() == Some(&self.group));
        Ok(match group {
            Some(group) => group.retention_in_days().map_or(Retention::Forever, Retention::Days),
            None => Retention::Untold,
        })
    }

    /// Every stream of the group; none where there is no group.
    pub(super) async fn sections(&mut self) -> Result<Vec<Section>, SendError> {
        let client = self.client().await?;
        let (mut sections, mut token) = (Vec::new(), None);
        loop {
            let call = client.describe_log_streams().log_group_name(&self.group).set_next_token(token.clone());
            let reply = match call.send().await {
                Ok(reply) => reply,
                Err(error) if code(&error) == Some("ResourceNotFoundException") => return Ok(sections),
                Err(error) => return Err(self.explain("logs:DescribeLogStreams", &error)),
            };
            sections.extend(reply.log_streams.unwrap_or_default().into_iter().map(|stream| Section {
                stream: stream.log_stream_name,
                created: stream.creation_time.map(Timestamp::from_millis),
            }));
            match reply.next_token {
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                _ => return Ok(sections),
            }
        }
    }

    pub(super) async fn read_back(&mut self, section: &Section, from: Option<PageToken>) -> Result<Page, SendError> {
        let token = match from {
            Some(PageToken::CloudWatch(token)) => Some(token),
            _ => None,
        };
        let client = self.client().await?;
        let stream = section.stream.as_ref().unwrap_or(&self.stream);
        let call = client.get_log_events().log_group_name(&self.group).log_stream_name(stream);
        let reply = match call.start_from_head(true).set_next_token(token.clone()).send().await {
            Ok(reply) => reply,
            // No stream is an empty copy.
            Err(error) if code(&error) == Some("ResourceNotFoundException") => return Ok(Page::default()),
            Err(error) => return Err(self.explain("logs:GetLogEvents", &error)),
        };
        // The end is where the token stays the same.
        let next = reply.next_forward_token.filter(|next| Some(next) != token.as_ref()).map(PageToken::CloudWatch);
        let texts = reply.events.unwrap_or_default().into_iter().filter_map(|event| event.message).collect();
        Ok(Page { texts, next })
    }

    /// The rows that tell of backups, of every stream of the group.
    pub(super) async fn read_backups(&mut self, from: Option<PageToken>) -> Result<Page, SendError> {
        let token = match from {
            Some(PageToken::CloudWatch(token)) => Some(token),
            _ => None,
        };
        let client = self.client().await?;
        let call = client.filter_log_events().log_group_name(&self.group).filter_pattern(BACKUPS);
        let reply = call.set_next_token(token).send().await;
        let reply = reply.map_err(|error| self.explain("logs:FilterLogEvents", &error))?;
        let texts = reply.events.unwrap_or_default().into_iter().filter_map(|event| event.message).collect();
        // Pages without an event come before the end.
        Ok(Page { texts, next: reply.next_token.map(PageToken::CloudWatch) })
    }

    fn explain<E, R>(&self, permission: &str, error: &SdkError<E, R>) -> SendError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        let group = &self.group;
        let (Some(code), message) = (error.code(), error.message().unwrap_or("no message")) else {
            return SendError::Outage(format!("CloudWatch Logs cannot be reached: {}", aws::causes(error)));
        };
        match code {
            "InvalidParameterException" | "ValidationException" | "SerializationException" => {
                SendError::Invalid(format!("{code}: {message}"))
            }
            "AccessDeniedException" | "AccessDenied" => SendError::Outage(format!(
                "the role of this machine may not {permission} on the log group {group}: allow it ({message})"
            )),
            code if is_about_credentials(code) => SendError::Outage(format!(
                "CloudWatch Logs does not accept the credentials: see that the role is attached and the clock is right ({code}: {message})"
            )),
            _ => SendError::Outage(format!("CloudWatch Logs answers {code}: {message}")),
        }
    }
}

fn is_about_credentials(code: &str) -> bool {
    matches!(
        code,
        "ExpiredTokenException" | "ExpiredToken" | "UnrecognizedClientException" | "InvalidSignatureException"
    )
}

/// None where no region is known.
async fn connect() -> Option<Client> {
    let config = aws::load(None).await;
    // A unit that sets AWS_REGION to nothing has not set it.
    config.region().filter(|region| !region.as_ref().is_empty())?;
    Some(Client::new(&config))
}

fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// Which of `count` events were kept: `tooOld` and `expired` name the end of what was refused, exclusive; `tooNew` its
/// start, inclusive (API reference of PutLogEvents).
fn verdicts(rejected: Option<&RejectedLogEventsInfo>, count: usize) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict::Accepted; count];
    let Some(rejected) = rejected else { return verdicts };
    let index = |given: Option<i32>| given.map(|index| usize::try_from(index).unwrap_or(0).min(count));
    let old = index(rejected.too_old_log_event_end_index()).max(index(rejected.expired_log_event_end_index()));
    verdicts[..old.unwrap_or(0)].fill(Verdict::TooOld);
    let new = index(rejected.too_new_log_event_start_index()).unwrap_or(count);
    verdicts[new..].fill(Verdict::TooNew);
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(old: Option<i32>, expired: Option<i32>, new: Option<i32>) -> String {
        let info = RejectedLogEventsInfo::builder()
            .set_too_old_log_event_end_index(old)
            .set_expired_log_event_end_index(expired)
            .set_too_new_log_event_start_index(new)
            .build();
        let letter = |verdict: &Verdict| match verdict {
            Verdict::Accepted => 'a',
            Verdict::TooOld => 'o',
            Verdict::TooNew => 'n',
        };
        verdicts(Some(&info), 5).iter().map(letter).collect()
    }

    #[test]
    fn rejected_events_are_named_by_the_ends_of_the_batch() {
        assert_eq!(of(None, None, None), "aaaaa");
        assert_eq!(of(Some(2), None, None), "ooaaa");
        assert_eq!(of(None, Some(3), None), "oooaa");
        assert_eq!(of(Some(2), Some(3), None), "oooaa");
        assert_eq!(of(None, None, Some(3)), "aaann");
        assert_eq!(of(Some(1), Some(2), Some(4)), "ooaan");
        assert_eq!(of(Some(5), None, None), "ooooo");
        assert_eq!(of(None, None, Some(0)), "nnnnn");
        assert_eq!(of(Some(0), None, Some(5)), "aaaaa");
        assert_eq!(of(Some(99), None, Some(-1)), "nnnnn", "numbers that make no sense accept nothing");
    }

    #[test]
    fn every_combination_of_indices_refuses_what_it_names_and_nothing_else() {
        let indices = || std::iter::once(None).chain((0..=6).map(Some));
        for old in indices() {
            for expired in indices() {
                for new in indices() {
                    let expected: String = (0..5)
                        .map(|event| match event {
                            event if new.is_some_and(|start| event >= start) => 'n',
                            event if [old, expired].iter().flatten().any(|end| event < *end) => 'o',
                            _ => 'a',
                        })
                        .collect();
                    assert_eq!(of(old, expired, new), expected, "{old:?} {expired:?} {new:?}");
                }
            }
        }
    }
}
