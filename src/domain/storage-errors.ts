/**
 * Refusals by the storage: the disk fails, cannot be used, is full, or has lost what was written. Browser-safe: imports
 * nothing but `effect`.
 */
import { Schema } from "effect"
import { quoted, Refusal } from "./refusal.ts"
import { Offset } from "./types.ts"

/** The medium under the stream failed. Nothing of the append was kept; what was acknowledged before still is. */
export class StorageFailed extends Refusal<StorageFailed>()(
  "StorageFailed",
  { message: Schema.String },
  { status: 500, title: "The storage failed" }
) {}

/**
 * The medium is whole and cannot be used: it is read-only, no file can be opened, the directory is not there. Nothing of the
 * append was kept; appends work again when that is over.
 */
export class StorageUnavailable extends Refusal<StorageUnavailable>()(
  "StorageUnavailable",
  { message: Schema.String },
  { status: 503, title: "The storage cannot be used now", headers: () => ({ "retry-after": "1" }) }
) {}

/** What a storage says of its medium. */
export type StorageError = StorageFailed | StorageUnavailable

/** No space left. Nothing of the append was kept; appends work again when there is space. */
export class StorageFull extends Refusal<StorageFull>()(
  "StorageFull",
  { message: Schema.String },
  { status: 507, title: "The disk is full" }
) {}

/**
 * Bytes of the log are not what was written. Everything before `offset` can be read; nothing from there to `resumesAt`,
 * where that is known, can.
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
