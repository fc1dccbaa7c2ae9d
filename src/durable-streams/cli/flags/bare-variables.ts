/**
 * The variables that have no flag and that a server reads when it starts. A command checks them first: a person reads the
 * command's message, and not that of a server in the background.
 */
import { Config, Duration, Effect, Option } from "effect"
import { valueSentence, WrongUsage } from "../exit.ts"

interface BareVariable {
  readonly variable: string
  readonly isRight: (text: string) => Effect.Effect<boolean>
  readonly advice: string
  /** Its row in docs/cli.md. */
  readonly page: string
}

export const bareVariables: ReadonlyArray<BareVariable> = [
  {
    variable: "DURABLE_STREAMS_STREAM_IDLE",
    // As stream-manager.ts reads it, which lets a negative time through.
    isRight: () =>
      Config.Duration("DURABLE_STREAMS_STREAM_IDLE").pipe(
        Effect.map((duration) => !Duration.isNegative(duration)),
        Effect.orElseSucceed(() => false)
      ),
    advice: "write a number and a unit, such as 30 seconds or 2 minutes",
    page: "how long a stream without use stays awake: 1 minute; `30 seconds`, `2 minutes`. Anything else is wrong usage"
  },
  {
    variable: "DURABLE_STREAMS_PUBLIC_URL",
    // More than http/public-url.ts asks for: `localhost:3000` is a URL, too, and no client reaches a server by it.
    isRight: (text) => Effect.succeed(/^https?:\/\//i.test(text) && URL.canParse(text)),
    advice: "write a whole address, such as https://streams.example.com",
    page: "where others reach a server that is started: " +
      "it decides the `Location` of new streams and the callback address of webhooks ([subscriptions " +
      "5](subscriptions.md)), and lets in its `Host` and its origin. An `http` or `https` URL; anything else is wrong usage"
  }
]

/** Fails for the first variable with which a server would not start. */
export const checkBareVariables = Effect.suspend(() =>
  Effect.forEach(bareVariables, ({ advice, isRight, variable }) =>
    Effect.gen(function*() {
      const text = yield* Effect.orDie(Config.option(Config.String(variable)))
      if (Option.isNone(text) || (yield* isRight(text.value))) return
      return yield* Effect.fail(new WrongUsage(valueSentence(variable, text.value, advice)))
    }), { discard: true })
)
