<?php
// How the pages look: the same parts as the site's own, so that replies are about as long.
declare(strict_types=1);

function e(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

function moment(int $millis): string
{
    $seconds = intdiv($millis, 1000);
    return '<time datetime="' . gmdate('Y-m-d\TH:i:s\Z', $seconds) . '">' . gmdate('j M Y, H:i', $seconds) . ' UTC</time>';
}

function csrf(): string
{
    return '<input type="hidden" name="csrf" value="' . e($_SESSION['csrf']) . '">';
}

function head_of_page(string $title, array $member): void
{
    ?>
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title><?= e($title) ?></title>
<link rel="icon" type="image/svg+xml" href="/static/icon.svg">
<link rel="stylesheet" href="/static/site.css">
<script type="module" src="/static/site.js"></script>
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header class="top">
  <a class="brand" href="/messages"><span>Messages</span></a>
  <nav aria-label="Main"><a href="/messages">Messages</a> <a href="/audit">Audit log</a> <a href="/help">Help</a></nav>
  <div class="member">
    <a class="member-name" href="/me"><span class="visually-hidden">Signed in as </span><bdi><?= e($member['name']) ?></bdi></a>
    <form method="post" action="/sign-out"><?= csrf() ?><button class="quiet">Sign out</button></form>
  </div>
</header>
<main id="main" tabindex="-1">
<?php
}

function foot_of_page(): void
{
    echo "</main>\n</body>\n</html>\n";
}

function inbox_page(array $member, array $messages, array $authors, ?int $author, bool $older): void
{
    head_of_page('Messages', $member);
    ?>
<div class="head">
  <h1>Messages</h1>
  <a class="button primary" href="/messages/new">New message</a>
</div>
<form class="filter" action="/messages" method="get" role="search" aria-label="Filter messages">
  <label for="author">From</label>
  <select id="author" name="author">
    <option value="">Everyone</option>
<?php foreach ($authors as $one): ?>
    <option value="<?= $one['id'] ?>"<?= $one['id'] === $author ? ' selected' : '' ?>><?= e($one['name']) ?></option>
<?php endforeach ?>
  </select>
  <button>Show</button>
</form>
<ol class="rows" id="rows">
<?php foreach ($messages as $one): ?>
<li class="row" id="message-<?= $one['id'] ?>"><span class="who"><bdi><?= e($one['name']) ?></bdi><?= $one['author_id'] === $member['id'] ? ' <span class="tag">you</span>' : '' ?></span> <a class="subject" href="/messages/<?= $one['id'] ?>" dir="auto"><?= e($one['subject']) ?></a> <span class="when"><?= moment($one['sent_at']) ?></span></li>
<?php endforeach ?>
</ol>
<?php if ($older): ?>
<nav class="pager" aria-label="Pages of messages"><a class="button" href="/messages?before=<?= end($messages)['id'] ?>" rel="next">Older messages</a></nav>
<?php endif ?>
<?php
    foot_of_page();
}

function message_page(array $member, array $message): void
{
    head_of_page('Message', $member);
    ?>
<article class="message">
<h1 dir="auto"><?= e($message['subject']) ?></h1>
<p class="by"><bdi><?= e($message['name']) ?></bdi> (<?= e($message['email']) ?>), <?= moment($message['sent_at']) ?></p>
<div class="body" dir="auto"><?= nl2br(e($message['body'])) ?></div>
<?php if ($message['author_id'] === $member['id']): ?>
<p><a class="button" href="/messages/<?= $message['id'] ?>/delete">Delete</a></p>
<?php endif ?>
</article>
<?php
    foot_of_page();
}
