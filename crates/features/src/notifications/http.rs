//! The routes of notifications.

use super::{BroadcastMessage, ListNotifications, ReadNotifications, SendNotification};
use campanile_contract::{Action, CommandType, Method, QueryType, Route};

pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/api/notifications",
        summary: "Notifies one person, or at most 1,000.",
        action: Action::Command(CommandType::of::<SendNotification>()),
    },
    Route {
        method: Method::Get,
        path: "/api/notifications",
        summary: "One's own notifications, a page at a time.",
        action: Action::Query(QueryType::of::<ListNotifications>()),
    },
    Route {
        method: Method::Post,
        path: "/api/notifications/read",
        summary: "Marks one's own notifications as read, on all devices.",
        action: Action::Command(CommandType::of::<ReadNotifications>()),
    },
    Route {
        method: Method::Post,
        path: "/api/broadcast/message",
        summary: "Sends a message to one person, or at most 1,000, as a notification of its kind.",
        action: Action::Command(CommandType::of::<BroadcastMessage>()),
    },
];
