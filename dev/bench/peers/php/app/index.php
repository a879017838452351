<?php
// The three pages as one would write them in PHP: session, CSRF token, an audit row in the same transaction, escaping.
declare(strict_types=1);
require __DIR__ . '/pages.php';

const PAGE_SIZE = 50;
const IDLE_SECONDS = 1800;

function database(): PDO
{
    // Kept open between requests. The same durability as the site's: an answer means that the commit is on the disk.
    $pdo = new PDO('sqlite:' . getenv('APP_DATABASE'), null, null, [
        PDO::ATTR_PERSISTENT => true,
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
        PDO::ATTR_TIMEOUT => 10,
    ]);
    $pdo->exec('PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON');
    return $pdo;
}

function refuse(int $status, string $text): never
{
    http_response_code($status);
    header('Content-Type: text/html; charset=utf-8');
    echo '<!doctype html><title>' . e($text) . '</title><p>' . e($text) . '</p>';
    exit;
}

/** The signed-in member, or the way to the sign-in page. */
function member(PDO $pdo): array
{
    session_start(['read_and_close' => true]);
    $now = time();
    if (!isset($_SESSION['person'], $_SESSION['active']) || $now - $_SESSION['active'] > IDLE_SECONDS) {
        header('Location: /', true, 303);
        exit;
    }
    if ($now - $_SESSION['active'] >= 15) {
        session_start();
        $_SESSION['active'] = $now;
        session_write_close();
    }
    $select = $pdo->prepare('SELECT id, name, email FROM person WHERE id = ? AND disabled_at IS NULL');
    $select->execute([$_SESSION['person']]);
    $member = $select->fetch();
    if ($member === false) {
        header('Location: /', true, 303);
        exit;
    }
    return $member;
}

function audit(PDO $pdo, array $member, string $action, int $message): void
{
    $insert = $pdo->prepare(
        'INSERT INTO audit_log (at, person_id, action, message_id, details, ip) VALUES (?, ?, ?, ?, ?, ?)'
    );
    $details = json_encode(['message_id' => $message]);
    $insert->execute([(int) (microtime(true) * 1000), $member['id'], $action, $message, $details, $_SERVER['REMOTE_ADDR']]);
}

function show_list(PDO $pdo, array $member): void
{
    $before = filter_input(INPUT_GET, 'before', FILTER_VALIDATE_INT, ['options' => ['default' => PHP_INT_MAX]]);
    $author = filter_input(INPUT_GET, 'author', FILTER_VALIDATE_INT);
    [$from, $where, $order] = $author
        ? ['audit_log a INDEXED BY audit_log_person_action CROSS JOIN message m ON m.id = a.message_id', "a.person_id = ? AND a.action = 'MESSAGE_CREATE' AND m.id < ?", 'a.at DESC, a.id DESC']
        : ['message m', 'm.id < ?', 'm.id DESC'];
    $select = $pdo->prepare(
        "SELECT m.id, m.author_id, m.sent_at, m.subject, p.name FROM $from JOIN person p ON p.id = m.author_id
         WHERE $where ORDER BY $order LIMIT " . (PAGE_SIZE + 1)
    );
    $select->execute($author ? [$author, $before] : [$before]);
    $messages = $select->fetchAll();
    $older = count($messages) > PAGE_SIZE;
    $authors = $pdo->query(
        "SELECT p.id, p.name FROM person p
         WHERE EXISTS (SELECT 1 FROM audit_log a INDEXED BY audit_log_person_action
                       WHERE a.person_id = p.id AND a.action = 'MESSAGE_CREATE')
         ORDER BY p.name COLLATE NOCASE, p.id"
    )->fetchAll();
    inbox_page($member, array_slice($messages, 0, PAGE_SIZE), $authors, $author ?: null, $older);
}

function show_message(PDO $pdo, array $member, int $id): void
{
    // That it was opened is on the disk before its text leaves.
    $pdo->exec('BEGIN IMMEDIATE');
    $select = $pdo->prepare(
        'SELECT m.id, m.author_id, m.sent_at, m.subject, m.body, p.name, p.email FROM message m
         JOIN person p ON p.id = m.author_id WHERE m.id = ?'
    );
    $select->execute([$id]);
    $message = $select->fetch();
    $select->closeCursor();
    if ($message === false) {
        $pdo->exec('ROLLBACK');
        refuse(404, 'There is no such message.');
    }
    audit($pdo, $member, 'MESSAGE_VIEW', $id);
    $pdo->exec('COMMIT');
    message_page($member, $message);
}

function send_message(PDO $pdo, array $member): void
{
    if (!is_string($_POST['csrf'] ?? null) || !hash_equals($_SESSION['csrf'], $_POST['csrf'])) {
        refuse(403, 'This form is too old.');
    }
    $subject = trim((string) ($_POST['subject'] ?? ''));
    $body = trim((string) ($_POST['body'] ?? ''));
    if ($subject === '' || strlen($subject) > 1020 || $body === '' || strlen($body) > 80000) {
        refuse(422, 'A message needs a subject and a text.');
    }
    $pdo->exec('BEGIN IMMEDIATE');
    $insert = $pdo->prepare('INSERT INTO message (author_id, sent_at, subject, body) VALUES (?, ?, ?, ?)');
    $insert->execute([$member['id'], (int) (microtime(true) * 1000), $subject, $body]);
    audit($pdo, $member, 'MESSAGE_CREATE', (int) $pdo->lastInsertId());
    $pdo->exec('COMMIT');
    header('Location: /messages?notice=sent', true, 303);
}

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$pdo = database();
$member = member($pdo);
header('Content-Type: text/html; charset=utf-8');
if ($path === '/messages') {
    $_SERVER['REQUEST_METHOD'] === 'POST' ? send_message($pdo, $member) : show_list($pdo, $member);
} elseif (preg_match('#^/messages/([0-9]{1,18})$#', $path, $found)) {
    show_message($pdo, $member, (int) $found[1]);
} else {
    refuse(404, 'There is no such page.');
}
