/**
 * Waits for what a seed asks for; throws where it takes more seconds of the processor than allowed, which
 * do not pass while others use the machine.
 */
export async function withinSeconds(limit: number, work: () => Promise<void>): Promise<void> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  const seconds = (user + system) / 1e6;
  if (seconds > limit) throw new Error(`takes ${seconds} s of the processor, over ${limit} s`);
}
