"""What the browser tests share: the site as child processes, its people, visitors with and without a browser."""
