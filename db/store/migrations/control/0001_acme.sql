CREATE TABLE `acme_accounts` (
	`id` text PRIMARY KEY NOT NULL,
	`key` text NOT NULL,
	`url` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `acme_challenges` (
	`token` text PRIMARY KEY NOT NULL,
	`answer` text NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `certificate_watch` (
	`id` text PRIMARY KEY NOT NULL,
	`fingerprint` text DEFAULT '' NOT NULL,
	`warned` integer,
	`failures` integer DEFAULT 0 NOT NULL,
	`error` text,
	`next_try_at` integer DEFAULT 0 NOT NULL,
	`busy_until` integer DEFAULT 0 NOT NULL
);
