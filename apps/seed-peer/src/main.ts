import { SEED_PROFILE } from '@dragonfly/peer-engine';
import { daemonProgram } from '@dragonfly/peer-shell';
import { packageVersion, runService } from '@dragonfly/service';

await runService(daemonProgram(SEED_PROFILE, packageVersion(import.meta.url), process.env), process);
