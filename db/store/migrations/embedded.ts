/** Made by generate.ts from the SQL beside it. */
export type Migration = { name: string; statements: string[] }

export const controlMigrations: Migration[] = [
  {
    "name": "0000_start",
    "statements": [
      "CREATE TABLE `api_tokens` (\n\t`id` text PRIMARY KEY NOT NULL,\n\t`hash` text NOT NULL,\n\t`name` text NOT NULL,\n\t`role` text NOT NULL,\n\t`created_by` text NOT NULL,\n\t`created_at` integer NOT NULL,\n\t`expires_at` integer,\n\t`last_used_at` integer\n);",
      "CREATE UNIQUE INDEX `api_tokens_hash_unique` ON `api_tokens` (`hash`);",
      "CREATE TABLE `audit` (\n\t`id` text PRIMARY KEY NOT NULL,\n\t`at` integer NOT NULL,\n\t`actor` text NOT NULL,\n\t`action` text NOT NULL,\n\t`kind` text NOT NULL,\n\t`entity` text NOT NULL,\n\t`revision` integer,\n\t`comment` text\n);",
      "CREATE TABLE `changes` (\n\t`revision` integer NOT NULL,\n\t`seq` integer NOT NULL,\n\t`kind` text NOT NULL,\n\t`id` text NOT NULL,\n\t`key` text NOT NULL,\n\t`before` text,\n\t`after` text,\n\tPRIMARY KEY(`revision`, `seq`)\n);",
      "CREATE INDEX `changes_of_row` ON `changes` (`kind`,`id`,`revision`);",
      "CREATE TABLE `enrol_tokens` (\n\t`id` text PRIMARY KEY NOT NULL,\n\t`hash` text NOT NULL,\n\t`service` text NOT NULL,\n\t`name` text NOT NULL,\n\t`created_by` text NOT NULL,\n\t`created_at` integer NOT NULL,\n\t`expires_at` integer\n);",
      "CREATE UNIQUE INDEX `enrol_tokens_hash_unique` ON `enrol_tokens` (`hash`);",
      "CREATE TABLE `idempotency_keys` (\n\t`actor` text NOT NULL,\n\t`key` text NOT NULL,\n\t`request_hash` text NOT NULL,\n\t`status` integer NOT NULL,\n\t`answer` text NOT NULL,\n\t`at` integer NOT NULL,\n\tPRIMARY KEY(`actor`, `key`)\n);",
      "CREATE TABLE `login_failures` (\n\t`id` text PRIMARY KEY NOT NULL,\n\t`key` text NOT NULL,\n\t`at` integer NOT NULL\n);",
      "CREATE INDEX `login_failures_key` ON `login_failures` (`key`,`at`);",
      "CREATE TABLE `refresh_tokens` (\n\t`hash` text PRIMARY KEY NOT NULL,\n\t`session_id` text NOT NULL,\n\t`used_at` integer\n);",
      "CREATE INDEX `refresh_tokens_session` ON `refresh_tokens` (`session_id`);",
      "CREATE TABLE `revisions` (\n\t`revision` integer PRIMARY KEY NOT NULL,\n\t`at` integer NOT NULL,\n\t`actor` text NOT NULL,\n\t`action` text NOT NULL,\n\t`comment` text,\n\t`changes` integer NOT NULL,\n\t`summary` text NOT NULL,\n\t`rolled_back_to` integer,\n\t`announced` integer DEFAULT 0 NOT NULL\n);",
      "CREATE INDEX `revisions_announced` ON `revisions` (`announced`,`revision`);",
      "CREATE TABLE `rows` (\n\t`kind` text NOT NULL,\n\t`id` text NOT NULL,\n\t`key` text NOT NULL,\n\t`value` text NOT NULL,\n\t`revision` integer NOT NULL,\n\t`expires_at` integer,\n\tPRIMARY KEY(`kind`, `id`)\n);",
      "CREATE UNIQUE INDEX `rows_kind_key` ON `rows` (`kind`,`key`);",
      "CREATE INDEX `rows_expires_at` ON `rows` (`expires_at`);",
      "CREATE TABLE `sessions` (\n\t`id` text PRIMARY KEY NOT NULL,\n\t`user_id` text NOT NULL,\n\t`created_at` integer NOT NULL,\n\t`expires_at` integer NOT NULL,\n\t`revoked_at` integer\n);",
      "CREATE INDEX `sessions_user` ON `sessions` (`user_id`);",
      "CREATE TABLE `signing_keys` (\n\t`kid` text PRIMARY KEY NOT NULL,\n\t`public_key` text NOT NULL,\n\t`private_key` text NOT NULL,\n\t`created_at` integer NOT NULL,\n\t`retired_at` integer\n);",
      "CREATE TABLE `users` (\n\t`id` text PRIMARY KEY NOT NULL,\n\t`email` text NOT NULL,\n\t`role` text NOT NULL,\n\t`password_hash` text NOT NULL,\n\t`created_at` integer NOT NULL,\n\t`last_login_at` integer\n);",
      "CREATE UNIQUE INDEX `users_email_unique` ON `users` (`email`);"
    ]
  },
  {
    "name": "0001_acme",
    "statements": [
      "CREATE TABLE `acme_accounts` (\n\t`id` text PRIMARY KEY NOT NULL,\n\t`key` text NOT NULL,\n\t`url` text NOT NULL,\n\t`created_at` integer NOT NULL\n);",
      "CREATE TABLE `acme_challenges` (\n\t`token` text PRIMARY KEY NOT NULL,\n\t`answer` text NOT NULL,\n\t`expires_at` integer NOT NULL\n);",
      "CREATE TABLE `certificate_watch` (\n\t`id` text PRIMARY KEY NOT NULL,\n\t`fingerprint` text DEFAULT '' NOT NULL,\n\t`warned` integer,\n\t`failures` integer DEFAULT 0 NOT NULL,\n\t`error` text,\n\t`next_try_at` integer DEFAULT 0 NOT NULL,\n\t`busy_until` integer DEFAULT 0 NOT NULL\n);"
    ]
  },
  {
    "name": "0002_offences",
    "statements": [
      "CREATE TABLE `offences` (\n\t`worker` text NOT NULL,\n\t`id` text NOT NULL,\n\t`address` text NOT NULL,\n\t`kind` text NOT NULL,\n\t`at` integer NOT NULL,\n\t`count` integer NOT NULL,\n\t`evidence` text NOT NULL,\n\t`used` integer DEFAULT 0 NOT NULL,\n\t`expires_at` integer NOT NULL,\n\tPRIMARY KEY(`worker`, `id`)\n);",
      "CREATE INDEX `offences_address` ON `offences` (`address`,`used`);",
      "CREATE INDEX `offences_expires_at` ON `offences` (`expires_at`);",
      "ALTER TABLE `sessions` ADD `address` text;",
      "ALTER TABLE `sessions` ADD `seen_at` integer;"
    ]
  },
  {
    "name": "0003_sessions",
    "statements": [
      "ALTER TABLE `api_tokens` ADD `user_id` text;",
      "ALTER TABLE `sessions` ADD `agent` text;",
      "-- A token whose maker is no user any more stands for nobody: it is void, and still in the list to be deleted.\nUPDATE `api_tokens` SET `user_id` = coalesce((SELECT `id` FROM `users` WHERE `email` = `created_by`), iif(`created_by` LIKE 'token:%', NULL, ''));"
    ]
  },
  {
    "name": "0004_revision-ids",
    "statements": [
      "ALTER TABLE `audit` ADD `address` text;",
      "ALTER TABLE `revisions` ADD `id` text DEFAULT '' NOT NULL;",
      "UPDATE `revisions` SET `id` = lower(hex(randomblob(32)));"
    ]
  },
  {
    "name": "0005_rule-names",
    "statements": [
      "UPDATE `rows` SET `value` = replace(replace(replace(`value`, '\"helo-resolves\"', '\"helo\"'), '\"local-sender-auth\"', '\"auth-for-local-senders\"'), '\"sender-matches-login\"', '\"sender-must-match-login\"') WHERE `kind` = 'settings' AND `id` = 'security';",
      "UPDATE `changes` SET `before` = replace(replace(replace(`before`, '\"helo-resolves\"', '\"helo\"'), '\"local-sender-auth\"', '\"auth-for-local-senders\"'), '\"sender-matches-login\"', '\"sender-must-match-login\"'), `after` = replace(replace(replace(`after`, '\"helo-resolves\"', '\"helo\"'), '\"local-sender-auth\"', '\"auth-for-local-senders\"'), '\"sender-matches-login\"', '\"sender-must-match-login\"') WHERE `kind` = 'settings' AND `id` = 'security';"
    ]
  }
]

export const recordsMigrations: Migration[] = [
  {
    "name": "0000_start",
    "statements": [
      "CREATE TABLE `books` (\n\t`minute` integer NOT NULL,\n\t`worker` text NOT NULL,\n\t`received` integer DEFAULT 0 NOT NULL,\n\t`delivered` integer DEFAULT 0 NOT NULL,\n\t`bounced` integer DEFAULT 0 NOT NULL,\n\t`discarded` integer DEFAULT 0 NOT NULL,\n\t`messages` integer DEFAULT 0 NOT NULL,\n\t`deferred` integer DEFAULT 0 NOT NULL,\n\t`refused` integer DEFAULT 0 NOT NULL,\n\t`login_failures` integer DEFAULT 0 NOT NULL,\n\tPRIMARY KEY(`minute`, `worker`)\n);",
      "CREATE TABLE `events` (\n\t`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,\n\t`worker` text NOT NULL,\n\t`n` integer NOT NULL,\n\t`at` integer NOT NULL,\n\t`type` text NOT NULL,\n\t`message_id` text,\n\t`text` text NOT NULL,\n\t`json` text NOT NULL\n);",
      "CREATE UNIQUE INDEX `events_worker_n` ON `events` (`worker`,`n`);",
      "CREATE INDEX `events_message` ON `events` (`message_id`);",
      "CREATE INDEX `events_at` ON `events` (`at`);",
      "CREATE TABLE `messages` (\n\t`id` text PRIMARY KEY NOT NULL,\n\t`worker` text NOT NULL,\n\t`accepted_at` integer,\n\t`sender` text DEFAULT '' NOT NULL,\n\t`size` integer DEFAULT 0 NOT NULL,\n\t`subject` text,\n\t`origin` text DEFAULT 'smtp' NOT NULL,\n\t`client` text,\n\t`revision` integer,\n\t`state` text DEFAULT 'active' NOT NULL,\n\t`hold` text DEFAULT '' NOT NULL,\n\t`hold_at` integer DEFAULT 0 NOT NULL,\n\t`touched_at` integer NOT NULL\n);",
      "CREATE INDEX `messages_state` ON `messages` (`state`,`id`);",
      "CREATE TABLE `recipients` (\n\t`message_id` text NOT NULL,\n\t`address` text NOT NULL,\n\t`original` text NOT NULL,\n\t`domain` text NOT NULL,\n\t`outcome` text DEFAULT 'waiting' NOT NULL,\n\t`attempts` integer DEFAULT 0 NOT NULL,\n\t`last_reply` text,\n\t`cause` text,\n\t`next_try_at` integer,\n\tPRIMARY KEY(`message_id`, `address`)\n);",
      "CREATE INDEX `recipients_outcome` ON `recipients` (`outcome`);",
      "CREATE TABLE `workers` (\n\t`id` text PRIMARY KEY NOT NULL,\n\t`service` text NOT NULL,\n\t`enrolled_at` integer NOT NULL,\n\t`heartbeat_at` integer NOT NULL,\n\t`report` text,\n\t`acknowledged` integer DEFAULT 0 NOT NULL,\n\t`highest` integer DEFAULT 0 NOT NULL\n);"
    ]
  },
  {
    "name": "0001_facts",
    "statements": [
      "CREATE TABLE `facts` (\n\t`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,\n\t`worker` text NOT NULL,\n\t`batch` text NOT NULL,\n\t`since` integer NOT NULL,\n\t`until` integer NOT NULL,\n\t`sessions` integer NOT NULL,\n\t`dropped` integer NOT NULL,\n\t`octets` integer NOT NULL,\n\t`records` blob NOT NULL\n);",
      "CREATE UNIQUE INDEX `facts_worker_batch` ON `facts` (`worker`,`batch`);",
      "CREATE INDEX `facts_time` ON `facts` (`since`,`until`,`sessions`,`octets`,`dropped`);",
      "CREATE TABLE `facts_lost` (\n\t`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,\n\t`since` integer NOT NULL,\n\t`until` integer NOT NULL,\n\t`sessions` integer NOT NULL\n);"
    ]
  },
  {
    "name": "0002_errands",
    "statements": [
      "CREATE TABLE `errands` (\n\t`id` text PRIMARY KEY NOT NULL,\n\t`workers` text NOT NULL,\n\t`request` text NOT NULL,\n\t`request_hash` text NOT NULL,\n\t`answer` text,\n\t`created_at` integer NOT NULL\n);",
      "CREATE INDEX `errands_created` ON `errands` (`created_at`);"
    ]
  },
  {
    "name": "0003_parcels",
    "statements": [
      "CREATE TABLE `parcels` (\n\t`bundle` text NOT NULL,\n\t`n` integer NOT NULL,\n\t`octets` blob NOT NULL,\n\t`created_at` integer NOT NULL,\n\tPRIMARY KEY(`bundle`, `n`)\n);",
      "CREATE INDEX `parcels_created` ON `parcels` (`created_at`);"
    ]
  },
  {
    "name": "0004_waiting",
    "statements": [
      "DROP INDEX `recipients_outcome`;",
      "CREATE INDEX `recipients_waiting` ON `recipients` (`message_id`) WHERE outcome = 'waiting';"
    ]
  },
  {
    "name": "0005_duplicates",
    "statements": [
      "ALTER TABLE `books` ADD `duplicates` integer DEFAULT 0 NOT NULL;"
    ]
  },
  {
    "name": "0006_worker-requests",
    "statements": [
      "ALTER TABLE `errands` RENAME TO `worker_requests`;",
      "DROP INDEX `errands_created`;",
      "CREATE INDEX `worker_requests_created` ON `worker_requests` (`created_at`);",
      "UPDATE `worker_requests` SET `request` = json_set(json_remove(`request`, '$.parcels'), '$.chunks', json_extract(`request`, '$.parcels')) WHERE json_extract(`request`, '$.parcels') IS NOT NULL;",
      "ALTER TABLE `parcels` RENAME TO `message_chunks`;",
      "DROP INDEX `parcels_created`;",
      "CREATE INDEX `message_chunks_created` ON `message_chunks` (`created_at`);"
    ]
  },
  {
    "name": "0007_waiting-cause",
    "statements": [
      "ALTER TABLE `recipients` ADD `waiting_cause` text;"
    ]
  },
  {
    "name": "0008_event-files",
    "statements": [
      "CREATE TABLE `event_logs` (\n\t`worker` text NOT NULL,\n\t`log` text NOT NULL,\n\t`acknowledged` integer NOT NULL,\n\tPRIMARY KEY(`worker`, `log`)\n);",
      "DROP TABLE IF EXISTS `events_text`;",
      "DROP TABLE `events`;",
      "ALTER TABLE `workers` DROP COLUMN `acknowledged`;",
      "ALTER TABLE `workers` DROP COLUMN `highest`;"
    ]
  },
  {
    "name": "0009_waiting-mail",
    "statements": [
      "CREATE TABLE `books_alarm` (\n\t`id` integer PRIMARY KEY NOT NULL,\n\t`balance` integer NOT NULL\n);",
      "CREATE TABLE `queue_mirrors` (\n\t`queue_manager` text PRIMARY KEY NOT NULL,\n\t`incarnation` integer DEFAULT 0 NOT NULL,\n\t`position` integer DEFAULT -1 NOT NULL,\n\t`run` integer DEFAULT 0 NOT NULL,\n\t`next_page` integer DEFAULT 0 NOT NULL,\n\t`complete` integer DEFAULT 0 NOT NULL,\n\t`version` integer DEFAULT 0 NOT NULL,\n\t`counts_id` integer,\n\t`messages` integer DEFAULT 0 NOT NULL,\n\t`received` integer DEFAULT 0 NOT NULL,\n\t`delivered` integer DEFAULT 0 NOT NULL,\n\t`bounced` integer DEFAULT 0 NOT NULL,\n\t`discarded` integer DEFAULT 0 NOT NULL,\n\t`waiting` integer DEFAULT 0 NOT NULL\n);",
      "CREATE TABLE `waiting_messages` (\n\t`queue_manager` text NOT NULL,\n\t`id` text NOT NULL,\n\t`worker` text NOT NULL,\n\t`received_at` integer NOT NULL,\n\t`sender` text NOT NULL,\n\t`size` integer NOT NULL,\n\t`subject` text,\n\t`origin` text NOT NULL,\n\t`client` text,\n\t`revision` integer NOT NULL,\n\t`state` text NOT NULL,\n\t`hold` text NOT NULL,\n\t`run` integer NOT NULL,\n\tPRIMARY KEY(`queue_manager`, `id`)\n);",
      "CREATE INDEX `waiting_messages_id` ON `waiting_messages` (`id`);",
      "CREATE INDEX `waiting_messages_state` ON `waiting_messages` (`state`,`id`);",
      "CREATE TABLE `waiting_recipients` (\n\t`queue_manager` text NOT NULL,\n\t`message_id` text NOT NULL,\n\t`n` integer NOT NULL,\n\t`address` text NOT NULL,\n\t`original` text NOT NULL,\n\t`domain` text NOT NULL,\n\t`attempts` integer NOT NULL,\n\t`last_reply` text,\n\t`cause` text,\n\t`waiting_cause` text,\n\t`next_try_at` integer,\n\tPRIMARY KEY(`queue_manager`, `message_id`, `n`)\n);",
      "CREATE INDEX `waiting_recipients_message` ON `waiting_recipients` (`message_id`);",
      "CREATE INDEX `waiting_recipients_domain` ON `waiting_recipients` (`domain`,`message_id`);"
    ]
  },
  {
    "name": "0010_projections-dropped",
    "statements": [
      "INSERT INTO `books` (`minute`, `worker`, `received`) SELECT 0, 'migration', sum(`delivered` + `bounced` + `discarded` - `received`) FROM `books` WHERE true HAVING count(*) > 0;",
      "DROP TABLE `messages`;",
      "DROP TABLE `recipients`;"
    ]
  }
]
