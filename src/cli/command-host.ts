/** What a command has of the process that it runs in. */
export interface CommandHost {
  readonly env: NodeJS.ProcessEnv;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
  /** Results. */
  readonly write: (line: string) => void;
  /** What is said on the way. */
  readonly say: (line: string) => void;
  /** Gives what a person answers, or nothing; absent where there is no terminal at which one could. */
  readonly ask?: (question: string) => Promise<string>;
}
