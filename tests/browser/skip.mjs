// How a test says that it could not run here. In `cargo xtask test` the line goes to the file that collects them, and
// the test then passes in node's eyes, as the Rust tests do; alone, node itself counts it as skipped.
import { appendFileSync } from 'node:fs';

export function skipped(context, why) {
  const file = process.env.SUNFIRE_SKIPS;
  if (file) appendFileSync(file, `SKIPPED: browser::${context.name}: ${why}\n`);
  else context.skip(why);
}
