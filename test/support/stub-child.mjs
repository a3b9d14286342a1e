// Stands in for a process of the product where the launcher is under test. What it does wrong is told by its environment.
const { STUB_EXIT_BEFORE_READY, STUB_HANDLERS, STUB_IGNORES_SIGTERM, STUB_OPS_PORT_TAKEN, STUB_OPS_URL, STUB_URL } =
  process.env;

function log(msg, fields = {}) {
  process.stdout.write(`${JSON.stringify({ level: 'info', time: new Date().toISOString(), msg, ...fields })}\n`);
}

if (STUB_EXIT_BEFORE_READY) process.exit(Number(STUB_EXIT_BEFORE_READY));

process.on('SIGTERM', () => {
  log('told to end');
  if (!STUB_IGNORES_SIGTERM) process.exit(0);
});
process.on('SIGUSR2', () => process.exit(78));
process.on('disconnect', () => process.exit(0));
setInterval(() => undefined, 1000);

log('runs', { childPid: process.pid, redis: process.env.REDIS_URL });
const opsPortTaken = STUB_OPS_PORT_TAKEN && Number(STUB_OPS_PORT_TAKEN);
process.send?.({ type: 'ready', url: STUB_URL, opsUrl: STUB_OPS_URL, opsPortTaken, handlers: STUB_HANDLERS });
