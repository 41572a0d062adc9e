CREATE TABLE `books` (
	`minute` integer NOT NULL,
	`worker` text NOT NULL,
	`received` integer DEFAULT 0 NOT NULL,
	`delivered` integer DEFAULT 0 NOT NULL,
	`bounced` integer DEFAULT 0 NOT NULL,
	`discarded` integer DEFAULT 0 NOT NULL,
	`messages` integer DEFAULT 0 NOT NULL,
	`deferred` integer DEFAULT 0 NOT NULL,
	`refused` integer DEFAULT 0 NOT NULL,
	`login_failures` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`minute`, `worker`)
);
--> statement-breakpoint
CREATE TABLE `events` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`worker` text NOT NULL,
	`n` integer NOT NULL,
	`at` integer NOT NULL,
	`type` text NOT NULL,
	`message_id` text,
	`text` text NOT NULL,
	`json` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `events_worker_n` ON `events` (`worker`,`n`);--> statement-breakpoint
CREATE INDEX `events_message` ON `events` (`message_id`);--> statement-breakpoint
CREATE INDEX `events_at` ON `events` (`at`);--> statement-breakpoint
CREATE TABLE `messages` (
	`id` text PRIMARY KEY NOT NULL,
	`worker` text NOT NULL,
	`accepted_at` integer,
	`sender` text DEFAULT '' NOT NULL,
	`size` integer DEFAULT 0 NOT NULL,
	`subject` text,
	`origin` text DEFAULT 'smtp' NOT NULL,
	`client` text,
	`revision` integer,
	`state` text DEFAULT 'active' NOT NULL,
	`hold` text DEFAULT '' NOT NULL,
	`hold_at` integer DEFAULT 0 NOT NULL,
	`touched_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `messages_state` ON `messages` (`state`,`id`);--> statement-breakpoint
CREATE TABLE `recipients` (
	`message_id` text NOT NULL,
	`address` text NOT NULL,
	`original` text NOT NULL,
	`domain` text NOT NULL,
	`outcome` text DEFAULT 'waiting' NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`last_reply` text,
	`cause` text,
	`next_try_at` integer,
	PRIMARY KEY(`message_id`, `address`)
);
--> statement-breakpoint
CREATE INDEX `recipients_outcome` ON `recipients` (`outcome`);--> statement-breakpoint
CREATE TABLE `workers` (
	`id` text PRIMARY KEY NOT NULL,
	`service` text NOT NULL,
	`enrolled_at` integer NOT NULL,
	`heartbeat_at` integer NOT NULL,
	`report` text,
	`acknowledged` integer DEFAULT 0 NOT NULL,
	`highest` integer DEFAULT 0 NOT NULL
);
