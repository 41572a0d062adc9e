CREATE TABLE `offences` (
	`worker` text NOT NULL,
	`id` text NOT NULL,
	`address` text NOT NULL,
	`kind` text NOT NULL,
	`at` integer NOT NULL,
	`count` integer NOT NULL,
	`evidence` text NOT NULL,
	`used` integer DEFAULT 0 NOT NULL,
	`expires_at` integer NOT NULL,
	PRIMARY KEY(`worker`, `id`)
);
--> statement-breakpoint
CREATE INDEX `offences_address` ON `offences` (`address`,`used`);--> statement-breakpoint
CREATE INDEX `offences_expires_at` ON `offences` (`expires_at`);--> statement-breakpoint
ALTER TABLE `sessions` ADD `address` text;--> statement-breakpoint
ALTER TABLE `sessions` ADD `seen_at` integer;