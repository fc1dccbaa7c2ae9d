/**
 * The variables that have no flag and that a server reads when it starts. The command looks at them first: it can say what is
 * wrong where a person reads it.
 */
import { Config, Duration, Effect, Option } from "effect"
import { WrongUsage } from "./exit.ts"

/** Fails with the first one that a server would not start with. */
export const checkBareVariables = Effect.suspend(() =>
  Effect.forEach(checks, ([variable, isRight, advice]) =>
    Effect.gen(function*() {
      const text = yield* Effect.orDie(Config.option(Config.String(variable)))
      if (Option.isNone(text) || (yield* isRight(variable, text.value))) return
      return yield* Effect.fail(
        new WrongUsage(`The value ${JSON.stringify(text.value)} of ${variable} will not do: ${advice}.`)
      )
    }), { discard: true })
)

/** As stream-manager.ts reads it, which lets a negative time through. */
const isDuration = (variable: string) =>
  Config.Duration(variable).pipe(
    Effect.map((duration) => !Duration.isNegative(duration)),
    Effect.orElseSucceed(() => false)
  )

/** More than web/public-url.ts asks for: `localhost:3000` is a URL, too, and nobody is reached by it. */
const isHttpUrl = (_: string, text: string) => Effect.succeed(/^https?:\/\//i.test(text) && URL.canParse(text))

const checks: ReadonlyArray<
  readonly [variable: string, isRight: (variable: string, text: string) => Effect.Effect<boolean>, advice: string]
> = [
  ["DURABLE_STREAMS_STREAM_IDLE", isDuration, "write a number and a unit, such as 30 seconds or 2 minutes"],
  ["DURABLE_STREAMS_PUBLIC_URL", isHttpUrl, "write a whole address, such as https://streams.example.com"]
]
