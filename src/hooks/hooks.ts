/**
 * Hooks: code of a guest that runs before and after an append. Types only, and the one error that a guest may raise.
 */
import type { Effect } from "effect"
import { Schema } from "effect"
import { Refusal } from "../domain/refusal.ts"
import type { StreamEvent, StreamName } from "../domain/types.ts"

/** A before hook's veto: the append is refused (HTTP 422) and nothing is stored. */
export class HookError extends Refusal<HookError>()(
  "HookError",
  { hookId: Schema.String, message: Schema.String },
  { status: 422, title: "Refused by a hook" }
) {}

export interface AppendToJudge {
  readonly name: StreamName
  readonly data: unknown
  /** The name of the caller, as a gate of the server told it; undefined for the program itself. */
  readonly by: string | undefined
}

/** Runs before the append, in order, once for each event; the first failure vetoes the whole append. */
export interface BeforeAppendHook {
  readonly id: string
  readonly run: (append: AppendToJudge) => Effect.Effect<void, HookError>
}

/** Runs after the event is durable, in order, once for each event. A failure is logged and changes nothing. */
export interface AfterAppendHook {
  readonly id: string
  readonly run: (
    appended: { readonly name: StreamName; readonly event: StreamEvent }
  ) => Effect.Effect<void, unknown>
}

export interface Hooks {
  readonly beforeAppend?: ReadonlyArray<BeforeAppendHook>
  readonly afterAppend?: ReadonlyArray<AfterAppendHook>
}
