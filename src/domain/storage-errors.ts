/**
 * Refusals by the storage: the disk fails, cannot be used, is full, or has lost written bytes. Browser-safe: imports
 * nothing but `effect`.
 */
import { Schema } from "effect"
import { quoted, Refusal } from "./refusal.ts"
import { Offset } from "./types.ts"

/** The disk failed. Nothing of the append is kept; earlier appends that were acknowledged are. */
export class StorageFailed extends Refusal<StorageFailed>()(
  "StorageFailed",
  { message: Schema.String },
  { status: 500, title: "The storage failed" }
) {}

/**
 * The disk is whole and cannot be used: it is read-only, no file can be opened, the directory does not exist. Nothing of the
 * append is kept; appends work again when that is over.
 */
export class StorageUnavailable extends Refusal<StorageUnavailable>()(
  "StorageUnavailable",
  { message: Schema.String },
  { status: 503, title: "The storage cannot be used now", headers: () => ({ "retry-after": "1" }) }
) {}

/** The failures of a disk. */
export type StorageError = StorageFailed | StorageUnavailable

/** The disk has no space left. Nothing of the append is kept; appends work again when there is space. */
export class StorageFull extends Refusal<StorageFull>()(
  "StorageFull",
  { message: Schema.String },
  { status: 507, title: "The disk is full" }
) {}

/**
 * Bytes of the log differ from the written ones. Readers get every event before `offset`, and none from there on.
 */
export class LogDamaged extends Refusal<LogDamaged>()(
  "LogDamaged",
  { stream: Schema.String, offset: Offset },
  { status: 500, title: "The log is damaged" }
) {
  override get message() {
    return `The log of ${quoted(this.stream)} is damaged at offset ${this.offset}; what is before it can be read.`
  }
}
