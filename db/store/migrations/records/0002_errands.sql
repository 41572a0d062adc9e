CREATE TABLE `errands` (
	`id` text PRIMARY KEY NOT NULL,
	`workers` text NOT NULL,
	`request` text NOT NULL,
	`request_hash` text NOT NULL,
	`answer` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `errands_created` ON `errands` (`created_at`);