CREATE TABLE `parcels` (
	`bundle` text NOT NULL,
	`n` integer NOT NULL,
	`octets` blob NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`bundle`, `n`)
);
--> statement-breakpoint
CREATE INDEX `parcels_created` ON `parcels` (`created_at`);