ALTER TABLE `errands` RENAME TO `worker_requests`;--> statement-breakpoint
DROP INDEX `errands_created`;--> statement-breakpoint
CREATE INDEX `worker_requests_created` ON `worker_requests` (`created_at`);--> statement-breakpoint
UPDATE `worker_requests` SET `request` = json_set(json_remove(`request`, '$.parcels'), '$.chunks', json_extract(`request`, '$.parcels')) WHERE json_extract(`request`, '$.parcels') IS NOT NULL;--> statement-breakpoint
ALTER TABLE `parcels` RENAME TO `message_chunks`;--> statement-breakpoint
DROP INDEX `parcels_created`;--> statement-breakpoint
CREATE INDEX `message_chunks_created` ON `message_chunks` (`created_at`);
