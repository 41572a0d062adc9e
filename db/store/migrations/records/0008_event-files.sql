CREATE TABLE `event_logs` (
	`worker` text NOT NULL,
	`log` text NOT NULL,
	`acknowledged` integer NOT NULL,
	PRIMARY KEY(`worker`, `log`)
);
--> statement-breakpoint
DROP TABLE IF EXISTS `events_text`;--> statement-breakpoint
DROP TABLE `events`;--> statement-breakpoint
ALTER TABLE `workers` DROP COLUMN `acknowledged`;--> statement-breakpoint
ALTER TABLE `workers` DROP COLUMN `highest`;