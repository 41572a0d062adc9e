DROP INDEX `recipients_outcome`;--> statement-breakpoint
CREATE INDEX `recipients_waiting` ON `recipients` (`message_id`) WHERE outcome = 'waiting';