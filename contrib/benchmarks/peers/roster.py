"""All peers, in the order in which tables list them."""

from benchmarks.peers.annexd import Annexd, AnnexdShell
from benchmarks.peers.assistant import Assist, Assistant
from benchmarks.peers.copying import Cp, Rsync
from benchmarks.peers.lsyncd import Lsyncd
from benchmarks.peers.peer import Peer
from benchmarks.peers.syncthing import Syncthing, SyncthingTuned
from benchmarks.peers.unison import Unison

PEERS: tuple[type[Peer], ...] = (
    *(Annexd, AnnexdShell, Assistant, Assist),
    *(Syncthing, SyncthingTuned, Unison, Lsyncd, Rsync, Cp),
)
