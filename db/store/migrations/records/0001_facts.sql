CREATE TABLE `facts` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`worker` text NOT NULL,
	`batch` text NOT NULL,
	`since` integer NOT NULL,
	`until` integer NOT NULL,
	`sessions` integer NOT NULL,
	`dropped` integer NOT NULL,
	`octets` integer NOT NULL,
	`records` blob NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `facts_worker_batch` ON `facts` (`worker`,`batch`);--> statement-breakpoint
CREATE INDEX `facts_time` ON `facts` (`since`,`until`,`sessions`,`octets`,`dropped`);--> statement-breakpoint
CREATE TABLE `facts_lost` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`since` integer NOT NULL,
	`until` integer NOT NULL,
	`sessions` integer NOT NULL
);
