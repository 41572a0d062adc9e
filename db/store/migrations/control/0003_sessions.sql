ALTER TABLE `api_tokens` ADD `user_id` text;--> statement-breakpoint
ALTER TABLE `sessions` ADD `agent` text;--> statement-breakpoint
-- A token whose maker is no user any more stands for nobody: it is void, and still in the list to be deleted.
UPDATE `api_tokens` SET `user_id` = coalesce((SELECT `id` FROM `users` WHERE `email` = `created_by`), iif(`created_by` LIKE 'token:%', NULL, ''));
