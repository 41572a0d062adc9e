ALTER TABLE `audit` ADD `address` text;--> statement-breakpoint
ALTER TABLE `revisions` ADD `id` text DEFAULT '' NOT NULL;--> statement-breakpoint
UPDATE `revisions` SET `id` = lower(hex(randomblob(32)));
