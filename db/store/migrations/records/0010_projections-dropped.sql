INSERT INTO `books` (`minute`, `worker`, `received`) SELECT 0, 'migration', sum(`delivered` + `bounced` + `discarded` - `received`) FROM `books` WHERE true HAVING count(*) > 0;--> statement-breakpoint
DROP TABLE `messages`;--> statement-breakpoint
DROP TABLE `recipients`;
