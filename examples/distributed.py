"""Train one network on several processes: `mpiexec -n 2 python examples/distributed.py`.

Each rank takes its part of every batch; after `backward()` all hold the gradient of the mean loss
over the whole batch, so that they stay alike. Without mpiexec it is an ordinary program.
Needs the extra mpi for more than one process: pip install 'tinygrad-cnn[mpi]'.
"""

import numpy as np

import tinygrad_cnn as tg
import tinygrad_cnn.functional as F
from tinygrad_cnn import distributed as dist
from tinygrad_cnn import nn, optim
from tinygrad_cnn.data import DataLoader, digits


def network() -> nn.Module:
    """Return a small network whose batch normalisation sees the batches of all ranks."""
    layers = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 12 * 12, 10),
    )
    return dist.SyncBatchNorm.convert_sync_batchnorm(layers)


def main(images: int = 2000) -> None:
    """Train for two epochs and say how well it went."""
    rank, size = dist.rank(), dist.world_size()
    tg.set_num_threads(1)
    tg.manual_seed(0)
    train, test = digits()
    x = train.images[:images, np.newaxis].astype(np.float32) / 255
    loader = dist.shard(
        DataLoader(
            (x, train.labels[:images]),
            batch_size=64,  # of all ranks together
            shuffle=True,
            generator=np.random.default_rng(0),  # the same order on all ranks
        )
    )
    model = dist.DataParallel(network())
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(2):
        # Numbers to show are added up over the ranks: loss and how many images.
        total = np.zeros(2)
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), labels)
            loss.backward()  # the gradients of all ranks come together here
            optimizer.step()
            total += loss.item() * len(labels), len(labels)
        dist.all_reduce(total)
        if rank == 0:
            print(f"epoch {epoch + 1}: loss {total[0] / total[1]:.4f} on {size} process(es)")
    if rank == 0:
        model.eval()
        with tg.no_grad():
            answers = model(test.images[:, np.newaxis].astype(np.float32) / 255).argmax(1)
        print(f"test accuracy {100 * np.mean(answers.numpy() == test.labels):.1f} %")


if __name__ == "__main__":
    main()
