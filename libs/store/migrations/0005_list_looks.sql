-- Schema 5: MESSAGE_LIST, the row of a list that was shown. There are more of them than of any other, and a reader of the log
-- rarely wants them: views without them walk an index of their own, and views by time merge that with the index by action.
DROP INDEX audit_log_at;
CREATE INDEX audit_log_at ON audit_log (at) WHERE action <> 'MESSAGE_LIST';
