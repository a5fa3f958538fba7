"""A kind of token is a word of its provider: a new one needs no migration."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('credentials', '0005_one_organization_per_access'),
    ]

    operations = [
        migrations.AlterField(
            model_name='credential',
            name='kind',
            field=models.CharField(max_length=30, verbose_name='kind'),
        ),
        migrations.AlterField(
            model_name='credential',
            name='status',
            field=models.CharField(choices=[('unverified', 'not checked yet'), ('valid', 'works'), ('limited', 'lacks a right'), ('expiring', 'expires soon'), ('expired', 'expired'), ('rejected', 'rejected'), ('reconnect_required', 'reconnect'), ('quarantined', 'quarantined'), ('disconnected', 'disconnected')], default='unverified', max_length=20, verbose_name='status'),
        ),
    ]
