CREATE TABLE `books_alarm` (
	`id` integer PRIMARY KEY NOT NULL,
	`balance` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `queue_mirrors` (
	`queue_manager` text PRIMARY KEY NOT NULL,
	`incarnation` integer DEFAULT 0 NOT NULL,
	`position` integer DEFAULT -1 NOT NULL,
	`run` integer DEFAULT 0 NOT NULL,
	`next_page` integer DEFAULT 0 NOT NULL,
	`complete` integer DEFAULT 0 NOT NULL,
	`version` integer DEFAULT 0 NOT NULL,
	`counts_id` integer,
	`messages` integer DEFAULT 0 NOT NULL,
	`received` integer DEFAULT 0 NOT NULL,
	`delivered` integer DEFAULT 0 NOT NULL,
	`bounced` integer DEFAULT 0 NOT NULL,
	`discarded` integer DEFAULT 0 NOT NULL,
	`waiting` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE `waiting_messages` (
	`queue_manager` text NOT NULL,
	`id` text NOT NULL,
	`worker` text NOT NULL,
	`received_at` integer NOT NULL,
	`sender` text NOT NULL,
	`size` integer NOT NULL,
	`subject` text,
	`origin` text NOT NULL,
	`client` text,
	`revision` integer NOT NULL,
	`state` text NOT NULL,
	`hold` text NOT NULL,
	`run` integer NOT NULL,
	PRIMARY KEY(`queue_manager`, `id`)
);
--> statement-breakpoint
CREATE INDEX `waiting_messages_id` ON `waiting_messages` (`id`);--> statement-breakpoint
CREATE INDEX `waiting_messages_state` ON `waiting_messages` (`state`,`id`);--> statement-breakpoint
CREATE TABLE `waiting_recipients` (
	`queue_manager` text NOT NULL,
	`message_id` text NOT NULL,
	`n` integer NOT NULL,
	`address` text NOT NULL,
	`original` text NOT NULL,
	`domain` text NOT NULL,
	`attempts` integer NOT NULL,
	`last_reply` text,
	`cause` text,
	`waiting_cause` text,
	`next_try_at` integer,
	PRIMARY KEY(`queue_manager`, `message_id`, `n`)
);
--> statement-breakpoint
CREATE INDEX `waiting_recipients_message` ON `waiting_recipients` (`message_id`);--> statement-breakpoint
CREATE INDEX `waiting_recipients_domain` ON `waiting_recipients` (`domain`,`message_id`);