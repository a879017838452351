//! Pages filled with made-up people and messages, for the tests and for looking at.

mod duties;
mod urgent;

use store::{MessageId, ReaderMark, ReaderMarks, Timestamp, UnreadCount};

use super::audit_sample::audit;
use super::me_sample::{data, me};
use super::teams_sample::{faulty_fields, fields, named, teams, template_form, templates, write_template};
use super::*;

/// Text that breaks a page whose template forgets to escape.
pub(super) const MARKUP: &str = "</title><script>alert(1)</script>\"'><b onclick=x>&amp;";
/// The same with characters that deceive, and one that turns round what follows where the template does not isolate it.
pub(super) const HOSTILE: &str =
    "</title><script>alert(1)</script>\"'><b onclick=x>&amp;\u{202e}\u{3164}\u{9b}\u{2067}";
/// A subject that no title may show.
pub(super) const SUBJECT: &str = "Ward 3: handover for tonight";

/// The site's own address, which the page for another name leads to.
pub(super) const OWN_ADDRESS: &str = "https://messages.clinic.example/";

pub(super) const LONG_WORD: &str =
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaftsvorstandsmitgliedsversammlung";
const ARABIC: &str = "تم نقل المريض إلى الغرفة 12 (MRI في الساعة 14:30)";
const BODY: &str = "Hello all,\n\nBed 4 moves to room 12 before the round. The MRI slot is at 14:30; please have the consent form ready.\n\n\tOn call: Dr Haddad\n\tPhone:   4411\n\nThank you \u{1f64f}\n\nمساء الخير، يرجى تأكيد الاستلام.\nA last line, left to right again.";

pub(super) fn time(text: &str, iso: &str) -> Time {
    Time { iso: iso.into(), text: text.into() }
}

pub(super) fn now() -> Time {
    time("22 Nov 2026, 21:10 UTC", "2026-11-22T21:10:05Z")
}

pub(super) fn clock_time() -> ClockTime {
    ClockTime {
        iso: "2026-11-22T21:10:05Z".into(),
        text: "21:10 UTC".into(),
        whole: "22 Nov 2026, 21:10 UTC".into(),
        day: "Sunday 22 November 2026".into(),
    }
}

pub(super) fn earlier() -> Time {
    time("21 Nov 2026, 08:02 UTC", "2026-11-21T08:02:41Z")
}

pub(super) fn frame_of(name: &str) -> Frame {
    let member = MemberFrame {
        session: 12,
        person: 3,
        name: name.into(),
        email: "amina.haddad@clinic.example".into(),
        csrf: "0123456789abcdef".repeat(4),
        idle_seconds: 24 * 60,
        ends_in_seconds: 24 * 60,
        stays_until_absolute: false,
        for_me: 0,
        urgent_all: "".into(),
        bars: [].into(),
        marks: None,
        back: "/messages".into(),
    };
    Frame { member: Some(member), ..signed_out() }
}

pub(super) fn frame() -> Frame {
    frame_of("Amina Haddad")
}

pub(super) fn signed_out() -> Frame {
    let assets = AssetUrls {
        css: "/static/site.css".into(),
        js: "/static/site.js".into(),
        icon: "/static/icon.svg".into(),
        urgent_icon: "/static/icon-urgent.svg".into(),
    };
    Frame { assets: Arc::new(assets), member: None, notice: None, emergency_until: None }
}

pub(super) fn choices(selected: Option<usize>) -> Vec<Choice> {
    ["Amina Haddad", "Bruno Keller", "Chiara Rossi", HOSTILE]
        .iter()
        .enumerate()
        .map(|(at, name)| Choice { value: at.to_string(), label: (*name).into(), selected: selected == Some(at) })
        .collect()
}

pub(super) fn row(id: i64, author_name: &str, subject: &str) -> MessageRow {
    let content = RowContent::Live { subject: subject.into() };
    MessageRow { id, author_name: author_name.into(), sent: clock_time(), content, last_reply: None, done: false }
}

fn rows(count: i64) -> Vec<MessageRow> {
    let mut rows = vec![
        row(990, "Bruno Keller", SUBJECT),
        MessageRow {
            last_reply: Some(LastReply { author_name: "Chiara Rossi".into(), count: 10_000 }),
            ..row(989, "Amina Haddad", "Autoclave 2 is out of order until Tuesday")
        },
        row(988, "فاطمة الزهراء", ARABIC),
        row(
            987,
            "Chiara Rossi",
            "\u{1f489} Flu shots for staff: Thursday 07:00–09:00, room 2 \u{1f469}\u{1f3fd}\u{200d}\u{2695}\u{fe0f}",
        ),
        row(986, LONG_WORD, LONG_WORD),
        row(984, "Dr Maximilian von und zu Hohenberg-Schwarzenstein", &"A subject that goes on and on. ".repeat(8)),
        row(983, HOSTILE, HOSTILE),
        row(982, "李小龙", "新的值班表已发布"),
    ];
    rows.insert(
        5,
        MessageRow {
            content: RowContent::Deleted { at: now() },
            sent: ClockTime { day: "Saturday 21 November 2026".into(), ..clock_time() },
            ..row(985, "Bruno Keller", "")
        },
    );
    rows.extend((0..count - 9).map(|at| row(900 - at, "Chiara Rossi", &format!("Stock count, shelf {at}"))));
    rows.truncate(usize::try_from(count).unwrap());
    rows
}

pub(super) fn inbox(count: i64) -> InboxPage {
    let unread = (0..count).map(|at| ReaderMark { unread: at < 3, draft: at == 2 });
    let counted = usize::try_from(count.min(3)).unwrap();
    InboxPage {
        frame: frame(),
        reader: 1,
        list: Arc::new(list(rows(count), None)),
        marks: Arc::new(ReaderMarks { conversations: unread.collect(), unread: UnreadCount { counted, more: false } }),
        duties: duties::marks(),
        kept_draft: None,
        tab: Tab::All,
        looked_at: Some(Timestamp::from_millis(1_000_003)),
        updates_url: Some("/messages/updates?after=990".into()),
    }
}

/// The list, of the author who is picked.
pub(super) fn list(rows: Vec<MessageRow>, picked: Option<usize>) -> InboxList {
    let listed = |(at, row): (usize, MessageRow)| {
        let author = if at == 1 { 1 } else { 2 };
        // The first four came since the reader last looked.
        let last_at = Timestamp::from_millis(1_000_007 - i64::try_from(at).unwrap());
        ListedRow::new(author, last_at, &row).unwrap()
    };
    InboxList {
        older_url: (rows.len() > 9).then(|| "/messages?before=850".into()),
        newest_url: None,
        author: picked.map(|picked| i64::try_from(picked).unwrap()),
        authors: Rendered::of(&Choices(&choices(picked))).unwrap(),
        rows: rows.into_iter().enumerate().map(listed).collect(),
    }
}

/// A page further down.
fn older(count: i64) -> InboxPage {
    let list = InboxList { newest_url: Some("/messages".into()), ..list(rows(count), None) };
    InboxPage { list: Arc::new(list), updates_url: None, ..inbox(0) }
}

fn filtered(count: i64) -> InboxPage {
    InboxPage { list: Arc::new(list(rows(count), Some(2))), updates_url: None, ..inbox(0) }
}

fn view(id: i64, author_name: &str, body: &str, own: bool) -> ConversationMessageView {
    ConversationMessageView {
        id,
        author_name: author_name.into(),
        author_email: "bruno.keller@clinic.example".into(),
        sent: clock_time(),
        content: MessageContentView::Live { body: body.into() },
        own,
        readers: Vec::new(),
        duties: None,
    }
}

/// A conversation of one message.
pub(super) fn message(subject: &str, body: &str, own: bool) -> ConversationPage {
    ConversationPage {
        frame: frame(),
        id: 990,
        subject: Some(subject.into()),
        replies: 0,
        messages: vec![view(990, "Bruno Keller", body, own)],
        new: None,
        earlier_url: None,
        later_url: None,
        newest_url: None,
        done: None,
        newer: None,
        older: Some(989),
        updates_url: "/messages/updates?after=12410&conversation=990".into(),
        reply: reply(""),
    }
}

fn readers(count: usize) -> Vec<ReaderView> {
    let names = ["Chiara Rossi", HOSTILE, "李小龙", "فاطمة الزهراء", "Bruno Keller", "Tomáš Dvořák", LONG_WORD];
    names.into_iter().take(count).map(|name| ReaderView { name: name.into(), at: now() }).collect()
}

fn reply(body: &str) -> ReplyForm {
    ReplyForm {
        key: "5f0c".repeat(8),
        body: body.into(),
        recipients: duties::recipients(),
        body_error: None,
        problem: None,
        draft_version: String::new(),
        draft_saved: None,
        max_body: 20_000,
    }
}

/// One that went on, in the middle of its pages, whose first message is gone.
fn conversation() -> ConversationPage {
    let gone = MessageContentView::Deleted { at: now() };
    ConversationPage {
        subject: None,
        replies: 120,
        messages: vec![
            ConversationMessageView { content: gone, ..view(990, "Bruno Keller", "", false) },
            ConversationMessageView { readers: readers(2), ..view(991, "Amina Haddad", BODY, true) },
            ConversationMessageView { readers: readers(7), ..view(994, HOSTILE, HOSTILE, false) },
        ],
        new: Some(NewLine { above: 994, since: Some(now()) }),
        done: Some(DoneView { by: HOSTILE.into(), at: now() }),
        newer: Some(997),
        earlier_url: Some("/messages/990".into()),
        later_url: Some("/messages/990?page=3".into()),
        newest_url: Some("/messages/990?page=4".into()),
        reply: ReplyForm { draft_saved: Some(now()), draft_version: "5f0c".repeat(8), ..reply("Half a reply") },
        ..message(SUBJECT, BODY, false)
    }
}

pub(super) fn compose(subject: &str, body: &str) -> ComposePage {
    ComposePage {
        frame: frame(),
        key: "5f0c".repeat(8),
        subject: subject.into(),
        body: body.into(),
        recipients: duties::recipients(),
        subject_error: None,
        body_error: None,
        problem: None,
        draft_version: String::new(),
        draft_saved: None,
        max_subject: 255,
        max_body: 20_000,
    }
}

fn refused(email: Option<&str>) -> RefusedPage {
    RefusedPage {
        frame: signed_out(),
        email: email.map(Into::into),
        title: "This account is not on the staff list".into(),
        explanation: "Wardpost is for the staff of this clinic. If you belong to it, sign in with your work account; if this is your work account, ask the person who runs Wardpost to add it.".into(),
        emergency: email.is_none(),
        again_label: if email.is_some() { "Use another account" } else { "Try again" },
        start_url: "/sign-in/start?next=%2Fmessages&again=1".into(),
        request_id: "7f3k-29ab".into(),
    }
}

fn sign_in(ended: Option<&str>, kept_draft: bool) -> SignInPage {
    SignInPage {
        frame: signed_out(),
        start_url: "/sign-in/start?next=%2Fmessages".into(),
        ended: ended.map(Into::into),
        other_tabs: "You signed out in another tab.".into(),
        kept_draft,
    }
}

fn error(frame: Frame, status: u16, title: &str) -> ErrorPage {
    ErrorPage {
        frame,
        status,
        title: title.into(),
        explanation: "The address may be mistyped, or the message may never have existed.".into(),
        action_url: "/messages".into(),
        action_label: "Go to the messages".into(),
        request_id: "7f3k-29ab".into(),
    }
}

/// Every page in every state worth looking at, by the name of its file.
pub(super) fn all() -> Vec<(&'static str, String)> {
    let sound = || ChainBanner::Sound { up_to: 12_410, checked: now(), walked: now() };
    let html = |page: &dyn askama::DynTemplate| page.dyn_render().unwrap();
    let said = Frame { notice: Some("Message sent."), ..frame() };
    let mut samples = vec![
        ("sign-in", html(&sign_in(None, false))),
        ("sign-in-ended", html(&sign_in(Some("You were signed out because nothing had happened for 24 minutes."), true))),
        ("sign-in-draft", html(&sign_in(None, true))),
        ("refused", html(&refused(Some("eve@elsewhere.example")))),
        ("refused-hostile", html(&RefusedPage { title: MARKUP.into(), explanation: MARKUP.into(), ..refused(Some(HOSTILE)) })),
        ("refused-nameless", html(&refused(None))),
        ("inbox-0", html(&inbox(0))),
        ("inbox-1", html(&InboxPage { frame: said, kept_draft: Some(earlier()), ..inbox(1) })),
        ("inbox-9", html(&inbox(9))),
        ("inbox-50", html(&inbox(50))),
        ("inbox-older", html(&older(20))),
        ("inbox-end", html(&older(0))),
        ("inbox-filtered", html(&filtered(3))),
        ("inbox-filtered-0", html(&filtered(0))),
        ("message", html(&message(SUBJECT, BODY, false))),
        ("message-own", html(&message(ARABIC, ARABIC, true))),
        ("message-long", html(&message(LONG_WORD, &format!("{LONG_WORD}\n\n{}", "All work and no play. ".repeat(200)), true))),
        ("message-hostile", html(&ConversationPage { frame: frame_of(HOSTILE), messages: vec![view(990, HOSTILE, HOSTILE, true)], ..message(HOSTILE, HOSTILE, true) })),
        ("conversation", html(&conversation())),
        ("conversation-errors", html(&ConversationPage { reply: ReplyForm { body_error: Some("Write a message.".into()), ..reply(HOSTILE) }, ..message(HOSTILE, BODY, false) })),
        ("delete", html(&DeletePage { frame: frame(), id: 990, subject: HOSTILE.into(), sent: now() })),
        ("compose", html(&compose("", ""))),
        ("compose-draft", html(&ComposePage { draft_saved: Some(now()), ..compose(SUBJECT, BODY) })),
        ("compose-errors", html(&ComposePage { subject_error: Some("Write a subject.".into()), body_error: Some("The message may have 20,000 characters; this one has 20,412.".into()), ..compose("", BODY) })),
        ("compose-problem", html(&ComposePage { problem: Some("The message could not be stored just now. Nothing was lost: it is all still here. Try again in a moment.".into()), ..compose(HOSTILE, HOSTILE) })),
        ("teams", html(&teams(NameForm::default()))),
        ("teams-0", html(&TeamsPage { teams: vec![], ..teams(named(None, "Write the team's name.")) })),
        ("teams-error", html(&teams(named(Some(3), "Another team has this name. Choose one that nobody can mistake for it.")))),
        ("teams-leave", html(&LeavePage { frame: frame(), id: 4, name: HOSTILE.into() })),
        ("templates", html(&templates())),
        ("templates-0", html(&TemplatesPage { templates: vec![], left_over: vec![], ..templates() })),
        ("template-new", html(&template_form(None, "", ""))),
        ("template-edit", html(&TemplateFormPage { problem: Some("Chiara Rossi has changed this template meanwhile.".into()), name_error: Some("Write the template's name.".into()), rows_error: Some("Line 4 has the same room or bed as a line above it.".into()), ..template_form(Some(1), HOSTILE, HOSTILE) })),
        ("template-delete", html(&DeleteTemplatePage { frame: frame(), id: 1, name: HOSTILE.into() })),
        ("template-write", html(&write_template(fields()))),
        ("template-write-draft", html(&WriteTemplatePage { name: None, draft_saved: Some(now()), draft_version: "5f0c".repeat(8), ..write_template(fields()) })),
        ("template-write-errors", html(&WriteTemplatePage { subject_error: Some("The subject may have 255 characters; this one has 300.".into()), problem: Some("This form was sent before.".into()), ..write_template(faulty_fields()) })),
        ("audit", html(&audit(sound()))),
        ("audit-checking", html(&audit(ChainBanner::Checking { up_to: 4_096, head: 12_410 }))),
        ("audit-broken", html(&audit(ChainBanner::Broken { row: 733, what: "Its content does not match its hash.".into() }))),
        ("audit-empty", html(&AuditPage { rows: vec![], older_url: None, ..audit(sound()) })),
        ("audit-end", html(&AuditPage { rows: vec![], older_url: None, filtered: false, ..audit(sound()) })),
        ("audit-error", html(&AuditPage { filter_error: Some("“From” is later than “Until”. Swap them, or leave one empty.".into()), rows: vec![], ..audit(sound()) })),
        ("emergency", html(&EmergencyPage { frame: signed_out(), token: "0123456789abcdef".repeat(4), refused: None })),
        ("emergency-refused", html(&EmergencyPage { frame: signed_out(), token: "0123456789abcdef".repeat(4), refused: Some("This code does not let anybody in.") })),
        ("help", html(&HelpPage { frame: frame() })),
        ("me", html(&me(3))),
        ("me-1", html(&MePage { data: data(None, DownloadState::UnderWay), ..me(1) })),
        ("me-ended", html(&MePage { frame: Frame { notice: Some("That session has ended."), ..frame() }, data: data(None, DownloadState::Complete), ..me(2) })),
        ("me-refused", html(&MePage { data: data(Some(now()), DownloadState::BrokenOff), ..me(1) })),
        ("error", html(&error(frame(), 404, "There is no such page"))),
        ("misdirected", html(&MisdirectedPage { address: OWN_ADDRESS.into() })),
        ("error-signed-out", html(&error(signed_out(), 503, "Wardpost cannot store anything right now"))),
        ("error-hostile", html(&ErrorPage { explanation: MARKUP.into(), ..error(frame(), 400, MARKUP) })),
    ];
    samples.extend(duties::all());
    samples.extend(urgent::all());
    samples
}
