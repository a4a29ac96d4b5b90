/** `npm run build`: brings dist/ up to date with the sources. */
import { runMain } from './lib/errors.mjs';
import { ready } from './ready.mjs';

await runMain(async () => void (await ready({ need: ['modules', 'build'] })));
