//! Sink part: rabbitmq.
